//! Starting: from the start of the process until it listens, with a long log, after a clean shutdown and after a kill.

use std::time::Instant;

use crate::crowd::{AT_ONCE, Crowd, Writer};
use crate::load::text;
use crate::process::Process;
use crate::recorder::Recorder;
use crate::settings::Settings;
use crate::subject::Subject;

/// Messages written before the process is killed, so that the next process finds them in the write-ahead log.
const UNTIDY: usize = 1_000;

pub(super) async fn measure(settings: &Settings, recorder: &mut Recorder) -> anyhow::Result<()> {
    let messages = settings.full_or_quick(100_000, 5_000);
    let directory = tempfile::tempdir()?;
    let database = directory.path().join("chat.db");
    let process = Process::start_on(&database, &[]).await?;
    let crowd = Crowd::gather(&process, 1).await?;
    write(&process, &crowd, messages).await?;
    process.stop().await?;

    let begun = Instant::now();
    let process = Process::start_on(&database, &[]).await?;
    let ready_ms = begun.elapsed().as_secs_f64() * 1e3;
    write(&process, &crowd, UNTIDY).await?;
    process.kill().await?;

    let begun = Instant::now();
    let process = Process::start_on(&database, &[]).await?;
    let after_kill_ms = begun.elapsed().as_secs_f64() * 1e3;
    let row = recorder.row("start_up", Subject::Server, &[("messages", messages as f64)]);
    row.add("ready_ms", ready_ms);
    row.add("after_kill_ready_ms", after_kill_ms);
    process.stop().await
}

async fn write(process: &Process, crowd: &Crowd, messages: usize) -> anyhow::Result<()> {
    let writer = Writer::new(process, Subject::Server, crowd).await?;
    for first in (0..messages).step_by(AT_ONCE) {
        writer.write((first..messages.min(first + AT_ONCE)).map(text)).await?;
    }
    Ok(())
}
