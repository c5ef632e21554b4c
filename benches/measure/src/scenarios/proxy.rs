//! Behind a proxy: nginx between client and server, with its defaults and with common settings.
//!
//! It measures whether a message arrives within a second. This needs nginx.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use chat_client::{Events, Target};
use chat_core::protocol::Event;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::Child;
use tokio::time::{Instant, sleep, timeout_at};

use crate::crowd::{Crowd, Writer};
use crate::load::text;
use crate::process::Process;
use crate::recorder::Recorder;
use crate::settings::Settings;
use crate::subject::Subject;

/// The additional directives of a location, by their names in results.
///
/// HTTP/1.0 was nginx's default for a long time. Its responses have no chunks, so nginx waits until a buffer is full.
const SETTINGS: [(&str, &str); 5] = [
    ("http_1_1", "proxy_http_version 1.1;"),
    ("http_1_1_ignoring_header", "proxy_http_version 1.1; proxy_ignore_headers X-Accel-Buffering;"),
    ("http_1_0", "proxy_http_version 1.0;"),
    ("http_1_0_ignoring_header", "proxy_http_version 1.0; proxy_ignore_headers X-Accel-Buffering;"),
    ("gzip", "proxy_http_version 1.1; gzip on; gzip_types *; gzip_min_length 0; gzip_proxied any;"),
];

/// The pause between two messages.
const APART: Duration = Duration::from_millis(200);

/// A message that arrives later is too late.
const NEWS: Duration = Duration::from_secs(1);

/// How long nginx waits for bytes from the server, in seconds; the server sends a heartbeat every two seconds.
const IDLE_TIMEOUTS_S: [u32; 2] = [1, 4];
const HASTY: [&str; 8] =
    ["--ping-after", "2s", "--pong-timeout", "1s", "--keep-alive", "2s", "--poll-wait", "2s"];

/// What is missing for this measurement, if anything is.
pub(super) fn missing() -> Option<&'static str> {
    let found = Command::new("nginx").arg("-v").stderr(Stdio::null()).status();
    found.is_err().then_some("nginx (Debian: apt-get install nginx-light)")
}

pub(super) async fn measure(
    subject: Subject,
    settings: &Settings,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    let messages = settings.full_or_quick(5, 2);
    for &(name, directives) in settings.full_or_quick(&SETTINGS[..], &SETTINGS[..2]) {
        let process = Process::start(&[]).await?;
        let crowd = Crowd::gather(&process, 1).await?;
        let proxy = Proxy::start(&process, subject, directives).await?;
        let came = in_time(&process, subject, &crowd, &proxy.target(), messages).await?;
        let row = recorder.row("proxy", subject, &[(name, 1.0)]);
        row.add("in_time_percent", came as f64 * 100.0 / messages as f64);
        process.stop().await?;
    }
    let periods = settings.full_or_quick(3, 1);
    for &idle_timeout in settings.full_or_quick(&IDLE_TIMEOUTS_S[..], &IDLE_TIMEOUTS_S[..1]) {
        let process = Process::start(&HASTY).await?;
        let crowd = Crowd::gather(&process, 1).await?;
        let proxy = Proxy::start(
            &process,
            subject,
            &format!("proxy_http_version 1.1; proxy_read_timeout {idle_timeout}s;"),
        )
        .await?;
        let survived = survives(subject, &crowd, &proxy.target(), Duration::from_secs(2) * periods).await?;
        let row = recorder.row("proxy", subject, &[("idle_timeout_s", f64::from(idle_timeout))]);
        row.add("survived_percent", if survived { 100.0 } else { 0.0 });
        process.stop().await?;
    }
    Ok(())
}

/// How many messages arrive in time.
async fn in_time(
    process: &Process,
    subject: Subject,
    crowd: &Crowd,
    target: &Target,
    messages: usize,
) -> anyhow::Result<usize> {
    let writer = Writer::new(process, subject, crowd).await?;
    let token = &crowd.readers[0].1;
    let after = target.snapshot(token).await?.cursor;
    let until = Instant::now() + NEWS + subject.pause();
    // nginx may refuse the connection or hold the response's head back: then no message arrives.
    let Ok(Ok(mut client)) = timeout_at(until, subject.connect(target.apart(), token, Some(after))).await
    else {
        return Ok(0);
    };
    let mut came = 0;
    for number in 0..messages {
        writer.write(std::iter::once(text(number))).await?;
        let until = Instant::now() + NEWS + subject.pause();
        loop {
            match timeout_at(until, client.events.next()).await {
                Ok(Ok(Event::Message(message))) if message.text == text(number) => {
                    came += 1;
                    break;
                }
                Ok(Ok(_)) => {}
                Ok(Err(_)) => return Ok(came),
                Err(_) => break,
            }
        }
        sleep(APART).await;
    }
    Ok(came)
}

/// Whether a quiet connection is still open after this time.
async fn survives(subject: Subject, crowd: &Crowd, target: &Target, time: Duration) -> anyhow::Result<bool> {
    let mut client = subject.connect(target.apart(), &crowd.readers[0].1, None).await?;
    let until = Instant::now() + time;
    loop {
        match timeout_at(until, client.events.next()).await {
            Err(_) => return Ok(true),
            Ok(Ok(Event::Close { .. }) | Err(_)) => return Ok(false),
            Ok(Ok(_)) => {}
        }
    }
}

/// nginx in front of one server.
struct Proxy {
    _child: Child,
    _directory: TempDir,
    port: u16,
}

impl Proxy {
    async fn start(process: &Process, subject: Subject, directives: &str) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        // A port that was free a moment ago: nginx cannot report a port that the system chose.
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let configuration = directory.path().join("nginx.conf");
        std::fs::write(
            &configuration,
            configuration_text(directory.path(), port, process, subject, directives),
        )?;
        let child = tokio::process::Command::new("nginx")
            .arg("-c")
            .arg(&configuration)
            .args(["-e", "stderr"])
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("nginx does not start")?;
        for _ in 0..100 {
            if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Ok(Self { _child: child, _directory: directory, port });
            }
            sleep(Duration::from_millis(20)).await;
        }
        bail!("nginx does not listen")
    }

    fn target(&self) -> Target {
        Target::new(&format!("http://127.0.0.1:{}", self.port))
    }
}

fn configuration_text(
    directory: &Path,
    port: u16,
    process: &Process,
    subject: Subject,
    directives: &str,
) -> String {
    let (directory, server) = (directory.display(), process.address(subject));
    format!(
        "daemon off;
master_process off;
pid {directory}/pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://{server};
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $http_connection;
            {directives}
        }}
    }}
}}
"
    )
}
