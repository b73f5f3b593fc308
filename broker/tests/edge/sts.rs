//! What stands where AWS's STS would: a server that says what the test wants, and remembers what it was asked.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// How it answers.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// With this status and body.
    Says(u16, String),
    /// It leads to another address.
    Redirect(String),
    /// With so many bytes, and no end in sight.
    Endless,
    /// Not at all.
    Silence,
}

/// As AWS names somebody.
pub(crate) fn identity(account: &str, arn: &str) -> Answer {
    Answer::Says(
        200,
        format!(
            r#"{{"GetCallerIdentityResponse":{{"GetCallerIdentityResult":{{"Account":"{account}","Arn":"{arn}","UserId":"U"}},"ResponseMetadata":{{"RequestId":"R"}}}}}}"#
        ),
    )
}

/// As AWS names who has the role that the tests declare.
pub(crate) fn good() -> Answer {
    identity("123456789012", "arn:aws:sts::123456789012:assumed-role/remit-acme/i-0abc")
}

#[derive(Clone)]
pub(crate) struct Sts {
    pub(crate) url: String,
    answer: Arc<Mutex<Answer>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Sts {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let sts = Self { url, answer: Arc::new(Mutex::new(good())), asked: Arc::default() };
        let this = sts.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let this = this.clone();
                std::thread::spawn(move || this.serve(stream));
            }
        });
        sts
    }

    /// From now on.
    pub(crate) fn answer(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    /// The requests so far, each as it came.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn serve(&self, mut stream: TcpStream) {
        while let Some(request) = read(&mut stream) {
            self.asked.lock().unwrap().push(request);
            let answer = self.answer.lock().unwrap().clone();
            let written = match answer {
                Answer::Says(status, body) => write!(
                    stream,
                    "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                ),
                Answer::Redirect(to) => {
                    write!(stream, "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
                }
                Answer::Endless => endless(&mut stream),
                // Until whoever asked has gone.
                Answer::Silence => stream.read(&mut [0]).map(drop),
            };
            if written.is_err() {
                return;
            }
        }
    }
}

fn endless(stream: &mut TcpStream) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )?;
    loop {
        write!(stream, "400\r\n{}\r\n", " ".repeat(0x400))?;
    }
}

/// One request with its body, as it came.
fn read(stream: &mut TcpStream) -> Option<String> {
    let mut text = String::new();
    let mut byte = [0];
    while !text.ends_with("\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        text.push(char::from(byte[0]));
    }
    let length = text
        .to_lowercase()
        .lines()
        .find_map(|line| line.strip_prefix("content-length:").map(|n| n.trim().parse::<usize>().unwrap()));
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    text.push_str(std::str::from_utf8(&body).unwrap());
    Some(text)
}
