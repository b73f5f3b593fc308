//! What says that it is AWS KMS and is none, or one that has trouble: answers each action as it was told.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};

/// What is answered to an action.
#[derive(Clone, Debug)]
pub enum Word {
    /// This status and this body.
    Says(u16, String),
    /// Nothing, and the connection stays open.
    Nothing,
    /// Nothing, and the connection is closed.
    HangsUp,
}

type Words = Arc<Mutex<BTreeMap<String, Word>>>;

/// A server on loopback, for as long as the test runs.
pub struct Hostile {
    addr: String,
    words: Words,
}

impl Hostile {
    /// One that hangs up on everybody until it is told better.
    ///
    /// # Errors
    /// No port is free.
    pub fn start() -> Result<Hostile> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let addr = listener.local_addr()?.to_string();
        let words = Words::default();
        let told = words.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let told = told.clone();
                // Whoever hangs up on it in turn is no trouble.
                thread::spawn(move || drop(answer(stream, &told)));
            }
        });
        Ok(Hostile { addr, words })
    }

    /// From now on this is answered to an action, e.g. `Sign`.
    pub fn tell(&self, action: &str, word: Word) {
        self.words.lock().unwrap_or_else(PoisonError::into_inner).insert(action.to_owned(), word);
    }

    /// What tells programs to use it.
    pub fn env(&self) -> Vec<(String, String)> {
        super::env(&format!("http://{}", self.addr), "test", "test")
    }
}

fn answer(mut stream: TcpStream, words: &Words) -> Result<()> {
    let action = read(&mut stream)?;
    let word = words.lock().unwrap_or_else(PoisonError::into_inner).get(&action).cloned();
    match word {
        Some(Word::Says(status, body)) => {
            write!(
                stream,
                "HTTP/1.1 {status} Said\r\nContent-Type: application/x-amz-json-1.1\r\nConnection: close\r\n\
                 Location: http://127.0.0.1:1/\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )?;
        }
        // Until the other side has had enough.
        Some(Word::Nothing) => while stream.read(&mut [0; 1024])? > 0 {},
        Some(Word::HangsUp) | None => {}
    }
    Ok(())
}

/// Reads a request; the action that it asks for.
fn read(stream: &mut TcpStream) -> Result<String> {
    let mut bytes = Vec::new();
    let head = loop {
        let mut part = [0; 4096];
        let read = stream.read(&mut part)?;
        bytes.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = field(head, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
            if body.len() >= length {
                break head.to_owned();
            }
        }
        anyhow::ensure!(read > 0, "the request ends in the middle");
    };
    let target = field(&head, "x-amz-target").context("an action")?;
    Ok(target.trim_start_matches("TrentService.").to_owned())
}

fn field(head: &str, name: &str) -> Option<String> {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
}
