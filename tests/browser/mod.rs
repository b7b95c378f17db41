//! The viewer page in a real Chromium, against a real server. Each scene is a script in `scenes/`.

mod pages;

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::support::process::{self, Onair};

/// How long a scene may take.
const PLAYED_WITHIN: Duration = Duration::from_mins(3);
/// One browser at a time: each is a dozen processes.
static STAGE: Mutex<()> = Mutex::const_new(());

/// Plays a scene on a server of its own; afterwards its log must be whole.
async fn play(scene: &str) {
    let dir = tempfile::tempdir().expect("a folder");
    let secret = Uuid::new_v4().simple().to_string();
    let secret_file = dir.path().join("auth.secret");
    std::fs::write(&secret_file, &secret).expect("writes the secret");
    let settings = vec![
        ("ONAIR_DATABASE".to_owned(), format!("sqlite://{}/onair.db", dir.path().display())),
        ("ONAIR_AUTH_HS256_SECRET_FILE".to_owned(), secret_file.to_string_lossy().into_owned()),
    ];
    let mut server = Onair::new("onair", dir.path(), "", &settings);
    let turn = STAGE.lock().await;
    server.start().await;
    let playing = Command::new("node")
        .arg("run.mjs")
        .arg(scene)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/browser"))
        .env("ONAIR_URL", server.url())
        .env("ONAIR_SECRET", &secret)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let played =
        tokio::time::timeout(PLAYED_WITHIN, playing).await.expect("the scene ends in time");
    let played = played.expect("node and its packages are installed: run `scripts/test`");
    drop(turn);
    let said = String::from_utf8_lossy(&played.stderr);
    assert!(played.status.success(), "{scene}: {said}");
    server.stop().await;
    let (code, out, errors) =
        process::run_again(dir.path(), &settings, &["replay", "verify"]).await;
    assert_eq!(code, 0, "{out}{errors}");
}

#[tokio::test]
async fn a_viewer_buys_and_sees_it_confirmed() {
    play("buy").await;
}

#[tokio::test]
async fn who_is_too_late_is_told_what_is_left_and_held() {
    play("sold_out").await;
}

#[tokio::test]
async fn a_declined_card_is_explained_and_the_unit_comes_back() {
    play("decline").await;
}

#[tokio::test]
async fn every_refusal_is_told_in_plain_words() {
    play("refusals").await;
}

#[tokio::test]
async fn an_order_survives_the_network() {
    play("reconnect").await;
}

#[tokio::test]
async fn a_network_without_websocket_is_enough() {
    play("fallback").await;
}

#[tokio::test]
async fn people_talk_like_and_are_counted() {
    play("chat").await;
}

#[tokio::test]
async fn what_a_moderator_does_is_seen_at_once() {
    play("moderation").await;
}

#[tokio::test]
async fn a_small_phone_scrolls_one_way_only() {
    play("phone").await;
}

#[tokio::test]
async fn everything_works_without_a_mouse() {
    play("keyboard").await;
}

#[tokio::test]
async fn the_page_speaks_korean_and_english() {
    play("languages").await;
}

#[tokio::test]
async fn axe_finds_nothing() {
    play("accessible").await;
}

#[tokio::test]
async fn what_people_type_is_text_and_the_policy_holds() {
    play("hostile").await;
}
