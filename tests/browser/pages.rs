//! How the page and its files are served.

use std::collections::BTreeSet;

use reqwest::{Response, StatusCode};
use uuid::Uuid;

use crate::support::process::Onair;

async fn server(extra: &[(&str, &str)]) -> (tempfile::TempDir, Onair) {
    let dir = tempfile::tempdir().expect("a folder");
    let mut settings =
        vec![("ONAIR_DATABASE".to_owned(), format!("sqlite://{}/onair.db", dir.path().display()))];
    settings.extend(extra.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let mut server = Onair::new("onair", dir.path(), "", &settings);
    server.start().await;
    (dir, server)
}

async fn get(url: &str, etag: Option<&str>) -> Response {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut request = reqwest::Client::new().get(url);
    if let Some(etag) = etag {
        request = request.header("If-None-Match", etag);
    }
    request.send().await.expect("answers")
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().expect("text"))
}

#[tokio::test]
async fn the_page_is_asked_for_again_and_its_files_are_kept() {
    let (_dir, server) = server(&[]).await;
    let page_url = format!("{}/watch/{}", server.url(), Uuid::new_v4());
    let page = get(&page_url, None).await;
    assert_eq!(page.status(), StatusCode::OK);
    assert_eq!(header(&page, "content-type"), "text/html; charset=utf-8");
    assert_eq!(header(&page, "cache-control"), "no-cache");
    assert_eq!(header(&page, "x-content-type-options"), "nosniff");
    assert_eq!(header(&page, "referrer-policy"), "no-referrer");
    let policy = header(&page, "content-security-policy").to_owned();
    for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'self'"] {
        assert!(policy.split("; ").any(|known| known == part), "{policy}");
    }
    let etag = header(&page, "etag").to_owned();
    let same = get(&page_url, Some(&etag)).await;
    assert_eq!((same.status(), header(&same, "etag")), (StatusCode::NOT_MODIFIED, etag.as_str()));
    assert_eq!(get(&page_url, Some("\"other\"")).await.status(), StatusCode::OK);

    let html = page.text().await.expect("text");
    assert!(!html.contains("{{"), "{html}");
    let files: BTreeSet<&str> =
        html.split('"').filter(|part| part.starts_with("/watch/")).collect();
    assert!(files.len() > 15, "{files:?}");
    for path in files {
        let url = format!("{}{path}", server.url());
        let file = get(&url, None).await;
        assert_eq!(file.status(), StatusCode::OK, "{path}");
        assert_eq!(header(&file, "cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(header(&file, "x-content-type-options"), "nosniff");
        let kind = match path.rsplit('.').next() {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            _ => "image/svg+xml",
        };
        assert_eq!(header(&file, "content-type"), kind, "{path}");
        let etag = header(&file, "etag").to_owned();
        assert_eq!(get(&url, Some(&etag)).await.status(), StatusCode::NOT_MODIFIED);
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found_and_another_builds_files_are_not_kept() {
    let (_dir, server) = server(&[]).await;
    let at = |path: &str| format!("{}/watch/{path}", server.url());
    let none = get(&at("friday"), None).await;
    assert_eq!(none.status(), StatusCode::NOT_FOUND);
    assert_eq!(header(&none, "content-type"), "text/html; charset=utf-8");
    let missing = get(&at("assets/0000/secret.js"), None).await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    for path in ["assets/0000/../../../Cargo.toml", "assets/0000/%2e%2e/Cargo.toml"] {
        assert_eq!(get(&at(path), None).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let other_build = get(&at("assets/0000/watch.js"), None).await;
    assert_eq!(other_build.status(), StatusCode::OK);
    assert_eq!(header(&other_build, "cache-control"), "no-cache");
}

#[tokio::test]
async fn the_policy_and_the_page_follow_the_settings() {
    let (_dir, server) = server(&[
        ("ONAIR_PUBLIC_URL", "https://live.example"),
        ("ONAIR_ALLOWED_ORIGINS", "https://shop.example,https://app.example"),
        ("ONAIR_WATCH_VIDEO_URL", "https://cdn.example/{broadcast}.m3u8?a=1&b=\"2\""),
    ])
    .await;
    let page = get(&format!("{}/watch/{}", server.url(), Uuid::new_v4()), None).await;
    let policy = header(&page, "content-security-policy");
    for part in [
        "frame-ancestors 'self' https://shop.example https://app.example",
        "connect-src 'self' wss://live.example https://live.example",
        "media-src 'self' blob: https://cdn.example",
    ] {
        assert!(policy.split("; ").any(|known| known == part), "{policy}");
    }
    let html = page.text().await.expect("text");
    let video = "content=\"https://cdn.example/{broadcast}.m3u8?a=1&amp;b=&quot;2&quot;\"";
    assert!(html.contains(video), "{html}");
}

/// The client that the tests of the sockets install is the one that the page serves.
#[test]
fn the_vendored_client_is_the_published_one() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let published = root.join("sdk/node_modules/centrifuge/dist/centrifuge.js");
    let vendored = root.join("../api/pages/vendor/centrifuge-5.7.4/centrifuge.js");
    let published = std::fs::read(published).expect("the SDKs are installed: run `scripts/test`");
    assert!(published == std::fs::read(vendored).expect("reads"), "the vendored file was changed");
}
