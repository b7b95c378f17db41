//! The pack's own pages: everything is in them, nothing is loaded.

use std::fmt::Write;

use domain::ids::BroadcastId;

use super::super::report::{Report, Verdict};
use super::plot::{Plot, escaped};

/// What the page says.
pub(super) struct Facts<'a> {
    pub broadcast: BroadcastId,
    pub events: u64,
    pub unproven: u64,
    pub report: &'a Report,
    pub plot: &'a Plot,
}

const STYLE: &str = "body{font:15px/1.5 sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;\
    color:#111}table{border-collapse:collapse}td,th{border:1px solid #d1d5db;padding:.25rem .6rem;\
    text-align:left}.good{color:#047857}.bad{color:#b91c1c}code{background:#f3f4f6;padding:0 .2rem}";

/// The page for people.
pub(super) fn html(facts: &Facts<'_>, svg: &str) -> String {
    let Facts { broadcast, events, unproven, report, plot } = facts;
    let (class, verdict) = match report.verdict {
        Verdict::Good => ("good", "GOOD"),
        Verdict::Bad => ("bad", "BAD"),
    };
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <title>Evidence of {broadcast}</title><style>{STYLE}</style></head><body>\n\
         <h1>Evidence of a broadcast</h1>\n<p>Broadcast <code>{broadcast}</code>: {events} events, \
         {} orders accepted, {} confirmed.</p>\n<h2>Verdict: <span class=\"{class}\">{verdict}</span>\
         </h2>\n<table><tr><th>invariant</th><th>checked</th><th>broken</th><th></th></tr>\n",
        plot.accepted, plot.confirmed
    );
    for invariant in &report.invariants {
        let note = invariant
            .skipped
            .as_deref()
            .or_else(|| invariant.violations.first().map(|violation| violation.detail.as_str()));
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(&invariant.id),
            invariant.checked,
            invariant.violations_total,
            escaped(note.unwrap_or_default())
        );
    }
    page.push_str("</table>\n");
    if *unproven > 0 {
        let _ = writeln!(
            page,
            "<p class=\"bad\">{unproven} events follow the last seal: unproven.</p>"
        );
    }
    let _ = writeln!(
        page,
        "<h2>Units left</h2>\n{svg}<h2>How to check it</h2>\n<p>README.md says how; the page itself \
         proves nothing.</p>\n</body></html>"
    );
    page
}

/// How to check the pack.
pub(super) fn readme(public_key: &str) -> String {
    format!(
        "# Evidence of a broadcast\n\n\
         `examples/verify.py` of onair checks this folder with the public key alone. It needs Python and\n\
         `cryptography` from PyPI, and neither onair nor the seller. Take the key from where the seller has\n\
         published it, not from here; it should be\n\n    {public_key}\n\n\
         ```\npython3 verify.py --key PUBLIC_KEY --pack .\n```\n\n\
         | file | what it holds |\n|---|---|\n\
         | `manifest.json`, `manifest.sig` | the SHA-256 of every file, signed |\n\
         | `events.ndjson` | every event of the broadcast, byte for byte as stored |\n\
         | `witness.ndjson` | every seal of the log, and the keys that signed them |\n\
         | `blocks.ndjson` | the hashes of the rows of each sealed block that has an event of it |\n\
         | `promises.ndjson` | what each receipt of the broadcast promised |\n\
         | `verdict.json` | what `onair replay verify --json` said of the whole log |\n\
         | `fairness.json` | the order of admission against the order of arrival |\n\
         | `timeline.svg`, `index.html` | what was left over time, for people |\n"
    )
}
