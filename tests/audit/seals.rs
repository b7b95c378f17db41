//! `replay seal`, `prove`, `witness`, `verify --witness` and `receipt check`, against logs that were
//! edited underneath.

use commands::intake::ReceiptSigner;
use serde_json::Value;
use sqlx::Executor;

use super::program::{replay, verifier};
use super::show::{Base, Rows, show};

const KEY: &str = "0101010101010101010101010101010101010101010101010101010101010101";
const OTHER: &str = "0202020202020202020202020202020202020202020202020202020202020202";

/// Does something to a store behind its back.
async fn sql(url: &str, statements: &[String]) {
    for statement in statements {
        if url.starts_with("sqlite") {
            let pool = sqlx::SqlitePool::connect(url).await.expect("connects");
            pool.execute(statement.as_str()).await.expect(statement);
            pool.close().await;
        } else {
            let pool = sqlx::PgPool::connect(url).await.expect("connects");
            pool.execute(statement.as_str()).await.expect(statement);
            pool.close().await;
        }
    }
}

fn one(statement: impl Into<String>) -> Vec<String> {
    vec![statement.into()]
}

/// Changes a text of a payload; one digit is one bit.
fn change(url: &str, from: &str, to: &str, position: u32) -> Vec<String> {
    let (cast, json) = if url.starts_with("sqlite") { ("", "") } else { ("::text", "::json") };
    one(format!(
        "UPDATE events SET payload = replace(payload{cast}, '{from}', '{to}'){json} \
         WHERE position = {position}"
    ))
}

fn seal(base: &Base, key: &str) -> String {
    let file = base.file("seal.key");
    std::fs::write(&file, format!("{key}\n")).expect("writes");
    let asked = ["seal", "--key-file", &file, "--json"];
    let told = replay(base.dir.path(), &base.url, &asked).ended(0).json("seal");
    told["public_key"].as_str().expect("a key").to_owned()
}

/// The show, sealed in two blocks by two keys, and what a witness saw of it.
async fn sealed(base: &Base) -> (Vec<String>, String) {
    let aside = [
        "CREATE TABLE aside AS SELECT * FROM events WHERE position > 22".to_owned(),
        "DELETE FROM events WHERE position > 22".to_owned(),
    ];
    sql(&base.url, &aside).await;
    let first = seal(base, KEY);
    let back = ["INSERT INTO events SELECT * FROM aside".to_owned(), "DROP TABLE aside".to_owned()];
    sql(&base.url, &back).await;
    let second = seal(base, OTHER);
    let witness = base.file("witness.ndjson");
    let asked = ["witness", "export", &witness, "--json"];
    let told = replay(base.dir.path(), &base.url, &asked).ended(0).json("witness");
    assert_eq!(told["seals"], 2);
    (vec![first, second], witness)
}

fn findings(report: &Value) -> Vec<String> {
    let details = report["invariants"][10]["violations"].as_array().expect("a list");
    details.iter().map(|it| it["detail"].as_str().expect("a text").to_owned()).collect()
}

#[tokio::test]
async fn a_sealed_log_is_good_and_what_follows_is_unproven() {
    let rows = Rows::of(show().story.log());
    for base in Base::both(&rows).await {
        let dir = base.dir.path();
        let unsealed = replay(dir, &base.url, &["verify", "--json"]).ended(0).json("verify");
        assert_eq!(unsealed["invariants"][10]["skipped"], "the log is not sealed");
        replay(dir, &base.url, &["witness", "export", &base.file("none")]).ended(2);
        replay(dir, &base.url, &["prove", "3"]).ended(1);
        replay(dir, &base.url, &["seal"]).ended(2);
        let (_, witness) = sealed(&base).await;
        let report = replay(dir, &base.url, &["verify", "--json"]).ended(0).json("verify");
        assert_eq!(report["invariants"][10]["checked"], rows.0.len());
        assert_eq!(report["unproven"], Value::Null);
        let log = base.file("log.csv");
        replay(dir, &base.url, &["export", &log, "--format", "csv"]).ended(0);
        for database in [&base.url, &log] {
            let asked = ["verify", "--json", "--witness", &witness];
            let seen = replay(dir, database, &asked).ended(0).json("verify");
            assert_eq!(seen["head"], report["head"]);
            assert_eq!(seen["invariants"][10], report["invariants"][10]);
        }
        // the same again has nothing to seal
        let again =
            replay(dir, &base.url, &["seal", "--key-file", &base.file("seal.key")]).ended(0);
        again.golden("seal");
    }
}

type Edit = fn(&str) -> Vec<String>;

#[tokio::test]
async fn every_tampering_is_named() {
    let rows = Rows::of(show().story.log());
    let cases: [(&str, Edit, &str); 6] = [
        ("one bit", |url| change(url, "19900", "19901", 7), "the bytes of position 7 were changed"),
        (
            "a deleted row",
            |_| one("DELETE FROM events WHERE position = 10"),
            "position 10 was deleted",
        ),
        (
            "two swapped rows",
            |_| {
                [(8, 1_008), (9, 8), (1_008, 9)]
                    .map(|(from, to)| {
                        format!("UPDATE events SET position = {to} WHERE position = {from}")
                    })
                    .to_vec()
            },
            "positions 8 and 9 were swapped",
        ),
        (
            "a truncated tail",
            |_| one("DELETE FROM events WHERE position > 23"),
            "the tail was cut: the log ends at position 23, seal 2 goes up to 25",
        ),
        (
            "a truncated tail and its seal",
            |_| {
                ["DELETE FROM events WHERE position > 22", "DELETE FROM seals WHERE number = 2"]
                    .map(str::to_owned)
                    .to_vec()
            },
            "the tail was cut: the log ends at position 22, seal 2 goes up to 25",
        ),
        (
            "a seal with another time",
            |url| {
                let json = if url.starts_with("sqlite") { "" } else { "::text" };
                let cast = if url.starts_with("sqlite") { "" } else { "::json" };
                one(format!(
                    "UPDATE seals SET seal = replace(seal{json}, 'sealed_at\":\"20', \
                     'sealed_at\":\"21'){cast} WHERE number = 2"
                ))
            },
            "seal 2 has a signature that is not of this seal",
        ),
    ];
    for (name, edit, detail) in cases {
        for base in Base::both(&rows).await {
            let (_, witness) = sealed(&base).await;
            sql(&base.url, &edit(&base.url)).await;
            let alone = replay(base.dir.path(), &base.url, &["verify", "--json"]);
            let seen =
                replay(base.dir.path(), &base.url, &["verify", "--json", "--witness", &witness]);
            let seen = seen.ended(1).json("verify");
            match name {
                // the database cannot know what its owner took away together
                "a truncated tail and its seal" => {
                    alone.ended(0);
                }
                // the witness has the seal as it was
                "a seal with another time" => {
                    let alone = alone.ended(1).json("verify");
                    assert_eq!(findings(&alone), [detail], "{name}");
                    assert!(findings(&seen)[0].contains("not the one that the witness saw"));
                    continue;
                }
                _ => assert_eq!(findings(&alone.ended(1).json("verify")), [detail], "{name}"),
            }
            assert_eq!(findings(&seen), [detail], "{name}");
        }
    }
}

#[tokio::test]
async fn a_forgery_at_the_end_is_unproven_and_a_rewrite_is_known_by_its_witness() {
    let rows = Rows::of(show().story.log());
    for base in Base::both(&rows).await {
        let dir = base.dir.path();
        let (_, witness) = sealed(&base).await;
        let id = if base.url.starts_with("sqlite") {
            "x'00000000000000000000000000000007'"
        } else {
            "'00000000-0000-0000-0000-000000000007'"
        };
        let forged = format!(
            "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, \
             payload, metadata, position, event_id, stream_key, prev, recorded_at) \
             SELECT aggregate_type, aggregate_id, sequence + 1, event_type, event_version, payload, \
             metadata, 26, {id}, stream_key, position, recorded_at FROM events WHERE position = 15"
        );
        sql(&base.url, &one(forged)).await;
        let report = replay(dir, &base.url, &["verify", "--json"]).ended(1).json("verify");
        assert_eq!(report["unproven"]["first"], 26);
        assert_eq!(findings(&report), [""; 0]);
        let broken: Vec<u64> = report["invariants"][4]["violations"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|it| it["position"].as_u64().expect("a number"))
            .collect();
        assert!(broken.contains(&26), "{report}");
        let text = replay(dir, &base.url, &["verify"]).ended(1);
        assert!(text.out.contains("UNPROVEN: positions 26 to 26"), "{}", text.out);

        // somebody with the whole database and another key seals another past
        sql(&base.url, &one("DELETE FROM events WHERE position = 26")).await;
        sql(&base.url, &change(&base.url, "Friday", "Sunday", 1)).await;
        sql(&base.url, &one("DELETE FROM seals")).await;
        sql(&base.url, &one("DELETE FROM seal_keys")).await;
        seal(&base, "0303030303030303030303030303030303030303030303030303030303030303");
        replay(dir, &base.url, &["verify"]).ended(0);
        let seen = replay(dir, &base.url, &["verify", "--json", "--witness", &witness]);
        let seen = findings(&seen.ended(1).json("verify"));
        assert!(seen[0].contains("not the one that the witness saw"), "{seen:?}");
    }
}

#[tokio::test]
async fn proofs_and_packs_are_checked_with_the_public_keys_alone() {
    let rows = Rows::of(show().story.log());
    for base in Base::both(&rows).await {
        let dir = base.dir.path();
        let (keys, witness) = sealed(&base).await;
        let keys = ["--key", keys[0].as_str(), "--key", keys[1].as_str()];
        let ask = |more: &[&str]| verifier(&[&keys[..], more].concat());
        for event in ["3", "22", "23", &rows.0[24].event_id.to_string()] {
            let said = replay(dir, &base.url, &["prove", event, "--json"]).ended(0);
            said.json("prove");
            let file = base.file("proof.json");
            std::fs::write(&file, &said.out).expect("writes");
            assert_eq!(ask(&["--proof", &file]).0, 0, "{event}");
            let forged = said.out.replacen("acme", "acne", 1);
            assert_ne!(forged, said.out);
            std::fs::write(&file, forged).expect("writes");
            let (code, text) = ask(&["--proof", &file]);
            assert_eq!((code, text.contains("BAD")), (1, true), "{text}");
        }
        let said = replay(dir, &base.url, &["prove", "--consistency", "1", "2", "--json"]).ended(0);
        said.json("consistency");
        let file = base.file("grown.json");
        std::fs::write(&file, &said.out).expect("writes");
        assert_eq!(ask(&["--proof", &file]).0, 0);
        replay(dir, &base.url, &["prove", "--consistency", "2", "1"]).ended(1);
        replay(dir, &base.url, &["prove", "--consistency", "1", "9"]).ended(2);
        replay(dir, &base.url, &["prove", "99"]).ended(2);
        replay(dir, &base.url, &["prove", "3"]).ended(0).golden("prove");

        let log = base.file("log.ndjson");
        replay(dir, &base.url, &["export", &log]).ended(0);
        let pack = ["--witness", witness.as_str(), "--log", log.as_str()];
        let (code, text) = ask(&pack);
        assert_eq!(code, 0, "{text}");
        assert_eq!(verifier(&[&keys[..2], &pack[..]].concat()).0, 1, "the second key is not given");
        // one byte, anywhere
        for (file, every) in [(&log, 97), (&witness, 31)] {
            let bytes = std::fs::read(file).expect("reads");
            let first = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
            let from = if file == &log { 0 } else { first + 1 };
            for at in (from..bytes.len() - 1).step_by(every) {
                let mut changed = bytes.clone();
                changed[at] ^= 1;
                std::fs::write(file, &changed).expect("writes");
                if at % 5 == 0 {
                    let (code, text) = ask(&pack);
                    assert_eq!(code, 1, "byte {at} of {file}: {text}");
                }
            }
            std::fs::write(file, &bytes).expect("writes");
        }
    }
}

#[tokio::test]
async fn a_receipt_is_checked_against_its_key_and_the_log() {
    let show = show();
    let rows = Rows::of(show.story.log());
    let row = rows.0.iter().find(|row| row.event_type == b"OrderAccepted").expect("is there");
    let recorded = row.decode().expect("decodes");
    let domain::event::Event::Order(domain::order::OrderEvent::OrderAccepted { accepted }) =
        recorded.event
    else {
        panic!("another event");
    };
    let leaf = commands::intake::receipt_leaf(&accepted, &recorded.metadata.source);
    let signer = ReceiptSigner::from_seed(&[7; 32]);
    let key = hex::encode(signer.public_key());
    let receipts = signer.sign(&["{}".to_owned(), leaf.clone(), leaf.replace(":1,", ":2,")]);
    for base in Base::both(&rows).await {
        let dir = base.dir.path();
        let file = base.file("receipt.json");
        let write = |value: &Value| std::fs::write(&file, value.to_string()).expect("writes");
        let check = ["receipt", "check", &file, "--key", &key, "--json"];
        let good = serde_json::to_value(&receipts[1]).expect("serialises");
        for value in [good.clone(), serde_json::json!({"receipt": good})] {
            write(&value);
            let told = replay(dir, &base.url, &check).ended(0).json("receipt");
            assert_eq!(told["position"], row.position.0);
            assert_eq!(replay(dir, "", &check).ended(0).json("receipt")["position"], Value::Null);
            assert_eq!(verifier(&["--key", &key, "--receipt", &file]).0, 0);
        }
        // promised by the key, and not what the log holds
        write(&serde_json::to_value(&receipts[2]).expect("serialises"));
        let told = replay(dir, &base.url, &check).ended(1).json("receipt");
        assert_eq!(told["detail"], "the log holds another order than was promised");
        let mut forged = good.clone();
        forged["leaf"] = leaf.replace("KRW", "USD").into();
        write(&forged);
        replay(dir, &base.url, &check).ended(1).golden("receipt_forged");
        assert_eq!(verifier(&["--key", &key, "--receipt", &file]).0, 1);
        write(&serde_json::json!({}));
        replay(dir, &base.url, &check).ended(2);
    }
}
