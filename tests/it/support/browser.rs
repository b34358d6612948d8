//! A headless browser without a network, driven by its protocol for debuggers.
//!
//! Messages are JSON and end with a NUL byte; they go through descriptors 3 and 4 of the
//! browser (`--remote-debugging-pipe`). Source:
//! <https://chromedevtools.github.io/devtools-protocol/>.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::command::{run, start, starting};
use super::temporary;

/// A browser with one page.
pub(crate) struct Browser {
    process: Child,
    to: File,
    from: BufReader<File>,
    session: Value,
    sent: u64,
    /// What the page's console said, and what it did not catch.
    pub(crate) complaints: Vec<String>,
    directory: TempDir,
}

/// The browser has no network at all; timeout(1) ends it if it hangs, and with it the test.
const SCRIPT: &str = r#"
cd "$1"
exec unshare --net timeout --kill-after=5 240 chromium --headless=new --no-sandbox \
  --disable-gpu --disable-dev-shm-usage --no-first-run --no-default-browser-check \
  --user-data-dir="$1/profile" --remote-debugging-pipe about:blank \
  3<"$1/to" 4>"$1/from" >"$1/log" 2>&1
"#;

impl Browser {
    #[track_caller]
    pub(crate) fn start() -> Self {
        let directory = temporary::directory();
        let [to, from] = ["to", "from"].map(|name| directory.path().join(name));
        run(Command::new("mkfifo").args([&to, &from]));
        let mut command = Command::new("sh");
        command
            .args(["-euc", SCRIPT, "sh"])
            .arg(directory.path())
            .env("HOME", directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = start(&mut command);
        // Opened to be read too, it does not wait for who reads.
        let to = OpenOptions::new().read(true).write(true).open(to).unwrap();
        let mut browser = Self {
            process,
            to,
            from: BufReader::new(File::open(from).unwrap()),
            session: Value::Null,
            sent: 0,
            complaints: Vec::new(),
            directory,
        };
        let page = browser.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let target = json!({ "targetId": page["targetId"], "flatten": true });
        browser.session = browser.call("Target.attachToTarget", &target)["sessionId"].clone();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        browser
    }

    /// Opens a file, and waits until it is there.
    #[track_caller]
    pub(crate) fn open(&mut self, page: &Path) {
        let url = format!("file://{}", page.display());
        let answer = self.call("Page.navigate", &json!({ "url": url }));
        assert!(answer["errorText"].is_null(), "{answer}");
        loop {
            if self.receive()["method"] == "Page.loadEventFired" {
                return;
            }
        }
    }

    /// Gives the page a window of that many pixels.
    #[track_caller]
    pub(crate) fn resize(&mut self, width: u32, height: u32) {
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.call("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// Makes the page dark, or light.
    #[track_caller]
    pub(crate) fn prefer(&mut self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call(
            "Emulation.setEmulatedMedia",
            &json!({ "features": features }),
        );
    }

    /// What a JavaScript expression is worth; of a promise, what it promises.
    #[track_caller]
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let answer = self.call(
            "Runtime.evaluate",
            &json!({ "expression": expression, "returnByValue": true, "awaitPromise": true }),
        );
        assert!(
            answer["exceptionDetails"].is_null(),
            "{expression}: {answer}"
        );
        answer["result"]["value"].clone()
    }

    /// Presses a key that has a name.
    #[track_caller]
    pub(crate) fn press(&mut self, key: &str) {
        let codes = [
            ("Backspace", 8),
            ("Enter", 13),
            ("Escape", 27),
            ("End", 35),
            ("Home", 36),
            ("ArrowRight", 39),
        ];
        let (_, code) = codes.into_iter().find(|(name, _)| *name == key).unwrap();
        let text = if key == "Enter" { "\r" } else { "" };
        for (kind, text) in [("keyDown", text), ("keyUp", "")] {
            let event = json!({
                "type": kind, "key": key, "code": key, "text": text, "windowsVirtualKeyCode": code,
            });
            self.call("Input.dispatchKeyEvent", &event);
        }
    }

    /// Asks the browser, or its page when there is one.
    #[track_caller]
    fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.sent += 1;
        let id = self.sent;
        let mut message = json!({ "id": id, "method": method, "params": parameters });
        if !self.session.is_null() {
            message["sessionId"] = self.session.clone();
        }
        self.to
            .write_all(format!("{message}\0").as_bytes())
            .unwrap();
        loop {
            let mut answer = self.receive();
            if answer["id"] == id {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].take();
            }
        }
    }

    #[track_caller]
    fn receive(&mut self) -> Value {
        let mut message = Vec::new();
        self.from.read_until(0, &mut message).unwrap();
        let Some((0, message)) = message.split_last() else {
            let log = self.directory.path().join("log");
            let log = std::fs::read_to_string(log).unwrap_or_default();
            panic!("the browser is gone: {log}");
        };
        let message: Value = serde_json::from_slice(message).unwrap();
        match message["method"].as_str() {
            Some("Runtime.consoleAPICalled" | "Runtime.exceptionThrown" | "Log.entryAdded") => {
                self.complaints.push(message["params"].to_string());
            }
            Some("Network.requestWillBeSent") => {
                let url = message["params"]["request"]["url"].as_str().unwrap();
                if !url.starts_with("file:") && !url.starts_with("data:") {
                    self.complaints.push(format!("asks for {url}"));
                }
            }
            _ => {}
        }
        message
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // timeout(1) passes it on.
        let id = self.process.id().to_string();
        let _ = starting(|| Command::new("kill").arg(id).status());
        let _ = self.process.wait();
    }
}
