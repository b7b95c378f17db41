//! The viewer page `/watch/{broadcast}`: plain files in the binary, no build step.
//!
//! The page is the same for every broadcast and asks nothing of a store, so that a crowd that opens
//! it at once costs nothing but bytes.

mod assets;
mod policy;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use domain::ids::BroadcastId;
use sha2::{Digest, Sha256};

pub use policy::PageSettings;

use crate::problem::Problem;

/// The name of a set of assets is a hash of them: under it they never change.
const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// The page is asked for each time, and answered 304 while it is the same.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// The page as this process serves it.
struct Page {
    html: String,
    etag: HeaderValue,
    headers: Vec<(HeaderName, HeaderValue)>,
    digest: String,
    assets_etag: HeaderValue,
}

/// The routes of the page.
pub fn router(settings: &PageSettings) -> Router {
    Router::new()
        .route("/watch/{broadcast}", get(page))
        .route("/watch/assets/{digest}/{*path}", get(asset))
        .with_state(Arc::new(Page::new(settings)))
}

impl Page {
    fn new(settings: &PageSettings) -> Self {
        let digest = assets::digest();
        let folder = format!("/watch/assets/{digest}");
        let modules = assets::OWN.iter().filter(|asset| asset.kind == assets::JAVASCRIPT);
        let preloads = modules.fold(String::new(), |links, asset| {
            links + &format!("  <link rel=\"modulepreload\" href=\"{folder}/{}\">\n", asset.path)
        });
        let html = assets::PAGE
            .replace("{{preloads}}", &preloads)
            .replace("{{assets}}", &folder)
            .replace("{{payments}}", &escaped(&settings.payments))
            .replace("{{video}}", &escaped(settings.video_url.as_deref().unwrap_or_default()));
        let etag = self::etag(&assets::short(&Sha256::digest(&html)));
        let assets_etag = self::etag(&digest);
        Self { html, etag, headers: settings.headers(), digest, assets_etag }
    }
}

fn etag(hash: &str) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{hash}\"")).unwrap_or(HeaderValue::from_static("\"0\""))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}

async fn page(
    State(page): State<Arc<Page>>,
    Path(broadcast): Path<String>,
    asked: HeaderMap,
) -> Response {
    // whether there is such a broadcast the page asks itself, and says so in words
    let is_id = broadcast.parse::<BroadcastId>().is_ok();
    let mut response = if is_id && knows(&asked, &page.etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let status = if is_id { StatusCode::OK } else { StatusCode::NOT_FOUND };
        (status, [(CONTENT_TYPE, HTML)], page.html.clone()).into_response()
    };
    let headers = response.headers_mut();
    headers.extend(page.headers.iter().cloned());
    headers.insert(ETAG, page.etag.clone());
    headers.insert(CACHE_CONTROL, ASK_AGAIN);
    response
}

async fn asset(
    State(page): State<Arc<Page>>,
    Path((digest, path)): Path<(String, String)>,
    asked: HeaderMap,
) -> Result<Response, Problem> {
    let asset = assets::all().find(|asset| asset.path == path);
    let asset = asset.ok_or_else(|| Problem::not_found("file"))?;
    let mut response = if knows(&asked, &page.assets_etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        (StatusCode::OK, [(CONTENT_TYPE, HeaderValue::from_static(asset.kind))], asset.text)
            .into_response()
    };
    // while a new build is rolled out a page of the other one may ask here; it is not to be kept
    let is_current = digest == page.digest;
    let headers = response.headers_mut();
    headers.insert(ETAG, page.assets_etag.clone());
    headers.insert(CACHE_CONTROL, if is_current { FOREVER } else { ASK_AGAIN });
    Ok(response)
}

/// Whether the client has what it asks for (RFC 9110 §13.1.2).
fn knows(asked: &HeaderMap, etag: &HeaderValue) -> bool {
    let names = asked.get_all(IF_NONE_MATCH).iter().filter_map(|names| names.to_str().ok());
    names.flat_map(|names| names.split(',')).map(str::trim).any(|name| {
        name == "*" || name.strip_prefix("W/").unwrap_or(name).as_bytes() == etag.as_bytes()
    })
}
