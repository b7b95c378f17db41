//! A request that is answered before its body was read, such as one without a token: what is left
//! of the body is read too, because a connection that is closed with bytes in it loses the answer,
//! or the client's next request. Most bodies came with their headers, and are no matter.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONNECTION, EXPECT};
use axum::http::{HeaderValue, Version};
use axum::response::Response;
use bytes::Bytes;
use futures::FutureExt;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame};
use tokio::sync::oneshot;

/// Bytes of a body that are read for nothing.
pub const UNREAD_MAX_BYTES: usize = 256 * 1024;
/// How long that may take, in seconds.
pub const UNREAD_SECONDS: u64 = 1;

/// A body that comes back when it is dropped, unless it was read to its end.
struct Lent {
    /// What had come already.
    first: Option<Result<Frame<Bytes>, axum::Error>>,
    body: Body,
    ended: bool,
    home: Option<oneshot::Sender<Option<Body>>>,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.ended |= matches!(polled, Poll::Ready(None));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.body.is_end_stream()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(home) = self.home.take() {
            let read = self.ended || self.body.is_end_stream();
            let _ = home.send((!read).then(|| std::mem::take(&mut self.body)));
        }
    }
}

/// Answers, and leaves the connection fit for the next request or says that it is not.
pub async fn answered(request: Request, answer: impl AsyncFnOnce(Request) -> Response) -> Response {
    if request.body().is_end_stream() {
        return answer(request).await;
    }
    // who waits for a 100 is not asked for a body that nobody wants
    let waits = request.headers().contains_key(EXPECT);
    let one_at_a_time = request.version() < Version::HTTP_2;
    let (parts, mut body) = request.into_parts();
    let mut first = if waits { None } else { body.frame().now_or_never().flatten() };
    if body.is_end_stream()
        && let Some(whole) = first.as_mut().and_then(whole)
    {
        return answer(Request::from_parts(parts, Body::from(whole))).await;
    }
    let (home, mut back) = oneshot::channel();
    let lent = Lent { first, body, ended: false, home: Some(home) };
    let mut response = answer(Request::from_parts(parts, Body::new(lent))).await;
    let read = match back.try_recv() {
        Ok(None) => true,
        Ok(Some(body)) => !waits && drain(body).await,
        // somebody reads it still
        Err(_) => false,
    };
    if !read && one_at_a_time {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The bytes of the one frame that is all of a body.
fn whole(frame: &mut Result<Frame<Bytes>, axum::Error>) -> Option<Bytes> {
    frame.as_mut().ok()?.data_mut().map(std::mem::take)
}

/// Reads what is left; tells whether that was all.
async fn drain(mut body: Body) -> bool {
    let whole = async {
        let mut bytes = 0;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return false };
            bytes += frame.data_ref().map_or(0, Bytes::len);
            if bytes > UNREAD_MAX_BYTES {
                return false;
            }
        }
        true
    };
    tokio::time::timeout(Duration::from_secs(UNREAD_SECONDS), whole).await.unwrap_or(false)
}
