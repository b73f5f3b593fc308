//! A customer whose runner reaches the broker only through an HTTP proxy: a real one, of the distribution.

use std::process::Command;

use remit_tests::world::{Process, World, wait_for};

use crate::{customer, vendor};

struct Proxy {
    port: u16,
    process: Option<Process>,
}

impl Proxy {
    fn start(world: &World) -> Proxy {
        let mut proxy = Proxy { port: remit_postgres::free_port().unwrap(), process: None };
        let settings = format!(
            "Port {}\nListen 127.0.0.1\nAllow 127.0.0.1\nTimeout 600\nMaxClients 50\nLogLevel Connect\n",
            proxy.port
        );
        std::fs::write(world.path("proxy.conf"), settings).unwrap();
        proxy.go_on(world);
        proxy
    }

    fn go_on(&mut self, world: &World) {
        let mut command = Command::new("tinyproxy");
        command.arg("-d").arg("-c").arg(world.path("proxy.conf"));
        self.process = Some(Process::spawn(command, &world.path("proxy.log")).unwrap());
        let port = self.port;
        wait_for("the proxy", || Ok(std::net::TcpStream::connect(("127.0.0.1", port)).ok())).unwrap();
    }

    fn stop(&mut self) {
        self.process.take().unwrap().kill().unwrap();
    }
}

/// What the runner's status says about its way to the broker.
fn status(world: &World, install: &str) -> String {
    let mut command = Command::new(remit_tests::world::programs::path("remit-runner").unwrap());
    let out = command.args(["status", "--json", "--data-dir"]).arg(world.runner_dir(install)).output();
    String::from_utf8(out.unwrap().stdout).unwrap()
}

#[test]
fn a_runner_works_through_a_proxy_and_outlives_it() {
    let mut world = vendor("misfortune");
    let mut proxy = Proxy::start(&world);
    let url = format!("http://127.0.0.1:{}", proxy.port);
    world.runners_go_by(&url);
    let install = customer(&mut world, "acme", &["load_seconds=1"]);
    wait_for("the work to begin", || {
        let log = std::fs::read_to_string(world.path("proxy.log"))?;
        Ok(log.contains("CONNECT 127.0.0.1:").then_some(()))
    })
    .unwrap();
    // What waits for a person waits by way of the proxy: the runner has told it.
    world.until_status(&install, "held").unwrap();
    assert!(status(&world, &install).contains(&format!("through {url}/")), "{}", status(&world, &install));

    proxy.stop();
    let says = format!("the proxy {url}/");
    wait_for("the runner to say what is wrong", || {
        Ok(status(&world, &install).contains(&says).then_some(()))
    })
    .unwrap();
    std::fs::write(world.path("site/billing.granted"), "").unwrap();
    world.remit(&["signal", "acme", "retry"]).unwrap();
    proxy.go_on(&world);
    world.until_status(&install, "active").unwrap();
}
