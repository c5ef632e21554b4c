//! Passwords and tokens: where they come from, where they are kept, and where they never show.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

mod support;

use std::path::PathBuf;

use serde_json::Value;

use support::{PASSWORD, World, end};

/// The only file of sign-ins.
fn kept(world: &World) -> PathBuf {
    let directory = world.state.path().join("switchboard");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_none_or(|extension| extension != "lock"));
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

/// The token that was kept last.
fn token(world: &World) -> String {
    let all: Value = serde_json::from_slice(&std::fs::read(kept(world)).unwrap()).unwrap();
    all[0]["token"].as_str().unwrap().to_owned()
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_what_is_kept() {
    use std::os::unix::fs::PermissionsExt;

    let world = World::open().await;
    world.run(&["register", "Ann"]).await.succeeded();
    let mode = || std::fs::metadata(kept(&world)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    // A file that other users can read is made private again.
    std::fs::set_permissions(kept(&world), std::fs::Permissions::from_mode(0o644)).unwrap();
    world.run(&["login", "Ann"]).await.succeeded();
    assert_eq!(mode(), 0o600);
}

#[tokio::test]
async fn the_sign_in_that_is_kept_is_used_until_it_ends() {
    let world = World::open().await.with_ann_and_bob().await;
    let you = |people: &str| {
        let line = people.lines().find(|line| line.ends_with("you")).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    assert_eq!(you(world.run(&["people"]).await.succeeded()), "Bob");
    assert_eq!(you(world.run(&["people", "--as", "ANN"]).await.succeeded()), "Ann");
    let complaint = world.run(&["people", "--as", "Cid"]).await;
    assert!(complaint.failed(1).contains("cargo chat login Cid"), "{}", complaint.stderr());
    assert!(complaint.stderr().contains("Bob, Ann"), "{}", complaint.stderr());

    let bobs = token(&world);
    world.run(&["logout"]).await.succeeded();
    assert_eq!(you(world.run(&["people"]).await.succeeded()), "Ann");
    let mut ended = world.chat(&["people"]);
    ended.env("CHAT_TOKEN", &bobs);
    assert!(end(ended).await.failed(1).contains("refused (unauthenticated)"));
    // On a WebSocket the refusal is a close code.
    let mut ended = world.chat(&["send", "u1", "hi", "--transport", "websocket"]);
    ended.env("CHAT_TOKEN", &bobs);
    let complaint = end(ended).await;
    assert!(complaint.failed(1).contains("4502 unauthenticated"));
    assert!(!complaint.stderr().contains("asking again"), "{}", complaint.stderr());
}

#[tokio::test]
async fn sign_ins_at_the_same_time_are_all_kept() {
    let world = World::open().await;
    let names: Vec<String> = (0..12).map(|number| format!("user {number}")).collect();
    let mut children: Vec<_> =
        names.iter().map(|name| world.chat(&["register", name]).spawn().unwrap()).collect();
    for child in &mut children {
        assert!(child.wait().await.unwrap().success());
    }
    for name in &names {
        world.run(&["--as", name, "people"]).await.succeeded();
    }
}

#[tokio::test]
async fn a_token_of_the_environment_goes_first_and_needs_no_home() {
    let world = World::open().await.with_ann_and_bob().await;
    let mut people = world.chat(&["people", "--json", "--as", "Ann"]);
    people.env("CHAT_TOKEN", token(&world)).env_remove("XDG_STATE_HOME").env_remove("HOME");
    end(people).await.succeeded();
    let mut homeless = world.chat(&["people"]);
    homeless.env_remove("XDG_STATE_HOME").env_remove("HOME");
    assert!(end(homeless).await.failed(1).contains("set HOME or XDG_STATE_HOME"));
    let mut broken = world.chat(&["people"]);
    broken.env("CHAT_TOKEN", "secret\nsecret");
    assert!(!end(broken).await.failed(2).contains("secret"));
}

#[tokio::test]
async fn a_password_comes_from_stdin_and_never_from_an_argument() {
    let world = World::open().await;
    world.run_with(&["register", "Ann"], format!("{PASSWORD}\n")).await.succeeded();
    world.run(&["login", "Ann"]).await.succeeded();
    let wrong = world.run_with(&["login", "Ann"], "correct house\n").await;
    assert!(wrong.failed(1).starts_with("error: refused (wrong_credentials): "), "{}", wrong.stderr());
    assert!(world.run_with(&["login", "Ann"], "").await.failed(2).contains("CHAT_PASSWORD"));
    world.run(&["login", "Ann", PASSWORD]).await.failed(2);
    world.run(&["login", "Ann", "--password", PASSWORD]).await.failed(2);
    // A failed sign-in keeps the earlier one.
    world.run(&["people"]).await.succeeded();
}

#[tokio::test]
async fn a_mark_before_a_password_or_the_sign_ins_is_no_part_of_them() {
    let world = World::open().await;
    world.run_with(&["register", "Ann"], format!("\u{FEFF}{PASSWORD}\r\n")).await.succeeded();
    world.run(&["login", "Ann"]).await.succeeded();
    world.run_with(&["login", "Ann"], format!("\u{FEFF}{PASSWORD}")).await.succeeded();
    let wide: Vec<u8> = PASSWORD.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let refused = world.run_with(&["login", "Ann"], wide).await;
    assert!(refused.failed(1).contains("stdin is UTF-16LE"), "{}", refused.stderr());
    // An editor may have added a mark to the file.
    let marked = [b"\xEF\xBB\xBF", &std::fs::read(kept(&world)).unwrap()[..]].concat();
    std::fs::write(kept(&world), marked).unwrap();
    world.run(&["people"]).await.succeeded();
}

#[tokio::test]
async fn hex_shows_the_wire_and_hides_what_opens_it() {
    let world = World::open().await;
    let registered = world.run(&["--hex", "register", "Ann"]).await;
    assert_eq!(registered.succeeded(), "signed in as Ann (u1)\n");
    assert!(ascii(registered.stderr()).contains(r#"{"name":"Ann","password":"*************"}"#));
    let mut shown = registered.stderr().to_owned();

    let sent = world.run(&["--hex", "--transport", "websocket", "send", "u9", "hi"]).await;
    sent.failed(1);
    let dump = sent.stderr();
    shown += dump;
    let lines: Vec<&str> = dump.lines().collect();
    let frame = lines
        .iter()
        .position(|line| line.ends_with("text FIN MASK 117 B"))
        .unwrap_or_else(|| panic!("{dump}"));
    // The summary, the two bytes of the head, the key, and the payload masked with it.
    assert!(lines[frame + 1].contains(" 81 f5 "), "{dump}");
    let bytes = |line: &str| -> Vec<u8> {
        let hex = line.split_whitespace().skip(1).take(4);
        hex.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
    };
    assert!(lines[frame + 2].ends_with("mask"), "{dump}");
    let (key, masked) = (bytes(lines[frame + 2]), bytes(lines[frame + 3]));
    let plain: Vec<u8> = key.iter().zip(&masked).map(|(key, byte)| key ^ byte).collect();
    assert_eq!(plain, b"{\"re", "{dump}");
    assert!(dump.contains("close FIN MASK"), "it says goodbye: {dump}");

    for transport in ["sse", "longpoll", "shortpoll"] {
        let sent = world.run(&["--hex", "--transport", transport, "send", "c1", "hi"]).await;
        assert!(ascii(sent.failed(1)).contains("POST /api/commands HTTP/1.1"), "{}", sent.stderr());
        shown += sent.stderr();
    }
    let shown = ascii(&shown);
    assert!(shown.to_lowercase().contains("authorization: ****** ****"), "{shown}");
    assert!(!shown.contains(&token(&world)[..8]) && !shown.contains(PASSWORD), "{shown}");
}

/// The right-hand side of a dump in one piece, so that a text is found even if it is split over rows.
fn ascii(dump: &str) -> String {
    dump.lines().filter_map(|line| line.get(63..)).collect()
}

#[tokio::test]
async fn spaces_at_the_ends_of_a_name_are_not_sent() {
    let world = World::open().await;
    let registered = world.run(&["register", " Ann\u{A0}"]).await;
    assert_eq!(registered.succeeded(), "signed in as Ann (u1)\n");
    world.run(&["login", "Ann "]).await.succeeded();
    world.run(&["register", "Jos\u{E9}"]).await.succeeded();
    world.run(&["groups", "create", " rust "]).await.succeeded();
    for to in ["Ann ", " @ann", " #rust ", "u1 "] {
        world.run(&["send", to, "hello"]).await.succeeded();
    }
    // Another form of the name is the same user, also among the sign-ins that are kept.
    world.run(&["people", "--as", "Jose\u{301}"]).await.succeeded();
}
