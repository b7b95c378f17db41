//! `replay shred`: keys destroyed, copies forgotten, and every stored byte as it was.

use std::sync::Arc;

use commands::clock::SystemClock;
use commands::store::{StoreOptions, open_audit};
use domain::actor::Role;
use domain::envelope::{Position, Recorded};
use domain::ports::ChatRecord;
use domain::row::StoredRow;
use projections::read_model;
use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use super::program::{Said, replay};
use super::show::{Rows, Show, fill, show, write};
use crate::support::fresh_database;

const SEAL_KEY: &str = "0101010101010101010101010101010101010101010101010101010101010101";
const BY: [&str; 7] =
    ["--apply", "--author", "kim", "--ticket", "DPO-7", "--reason", "asked to be forgotten"];

/// A store that a writer filled, with its read models, and what was said.
struct Shop {
    url: String,
    dir: TempDir,
    show: Show,
}

impl Shop {
    async fn both() -> [Self; 2] {
        let dir = || tempfile::tempdir().expect("a folder");
        let folder = dir();
        let sqlite = format!("sqlite://{}", folder.path().join("onair.db").display());
        [Self::fill(sqlite, folder).await, Self::fill(fresh_database().await, dir()).await]
    }

    async fn fill(url: String, dir: TempDir) -> Self {
        Self::fill_but(url, dir, 0).await
    }

    /// The same, but the order book lacks the last so many events.
    async fn fill_but(url: String, dir: TempDir, lacks: usize) -> Self {
        let show = show();
        write(&url, show.story.log()).await;
        let shop = Self { url, dir, show };
        let models = read_model::open(&shop.url).await.expect("opens");
        let events = shop.events(false).await;
        models.orders.apply(&events[..events.len() - lacks]).await.expect("applies");
        let said = ["ana", "bora"].map(|viewer| ChatRecord {
            id: Uuid::from_u128(if viewer == "ana" { 1 } else { 2 }),
            broadcast: domain::ids::BroadcastId(Uuid::from_u128(9)),
            seller: shop.seller(),
            viewer: viewer.parse().expect("a name"),
            name: viewer.to_owned(),
            role: Role::Viewer,
            message: "hello".to_owned(),
            sent_at: shop.show.story.log()[0].recorded_at,
            hidden: false,
        });
        models.chat.append(&said).await.expect("keeps");
        shop
    }

    fn seller(&self) -> domain::ids::SellerId {
        self.show.story.log()[0].metadata.seller.clone()
    }

    async fn events(&self, sealed: bool) -> Vec<Recorded> {
        let options = StoreOptions { sealed, ..StoreOptions::new(Arc::new(SystemClock)) };
        let readers = open_audit(&self.url, &options).await.expect("opens");
        readers.events.read(Position::START, 10_000).await.expect("reads")
    }

    async fn rows(&self) -> Vec<StoredRow> {
        let options = StoreOptions::new(Arc::new(SystemClock));
        let readers = open_audit(&self.url, &options).await.expect("opens");
        readers.rows.rows(Position::START, 10_000).await.expect("reads")
    }

    fn run(&self, arguments: &[&str]) -> Said {
        replay(self.dir.path(), &self.url, arguments)
    }

    fn shred(&self, arguments: &[&str]) -> Said {
        let seller = self.seller();
        let mut all = vec!["shred"];
        all.extend(arguments);
        all.extend(["--seller", seller.as_str(), "--json"]);
        self.run(&all)
    }

    async fn viewer_of(&self, order: domain::ids::OrderId) -> Option<String> {
        let models = read_model::open(&self.url).await.expect("opens");
        let view = models.orders.order(order).await.expect("reads").expect("is there");
        view.viewer.map(|viewer| viewer.to_string())
    }
}

fn personal(event: &Recorded) -> Option<&domain::personal::Personal> {
    event.event.personal().filter(|personal| !personal.is_empty())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_seals_what_names_a_person_and_a_reader_opens_it() {
    for shop in Shop::both().await {
        for row in shop.rows().await {
            let payload = String::from_utf8(row.payload).expect("is text");
            for name in ["ana", "bora", "chun", "dana"] {
                assert!(!payload.contains(&format!("\"{name}\"")), "{payload}");
            }
        }
        let (written, read) = (shop.show.story.log(), shop.events(false).await);
        assert!(written.iter().filter_map(personal).count() >= 4);
        for (written, read) in written.iter().zip(&read) {
            assert_eq!(written.event, read.event);
        }
        for event in shop.events(true).await {
            let Some(personal) = personal(&event) else { continue };
            assert!(personal.sealed.is_some() && personal.viewer.is_none(), "{personal:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shredded_cannot_be_read_and_no_byte_of_the_log_changes() {
    for shop in Shop::both().await {
        let key = shop.dir.path().join("seal.key");
        std::fs::write(&key, SEAL_KEY).expect("writes");
        shop.run(&["seal", "--key-file", &key.display().to_string()]).ended(0);
        let before = shop.rows().await;

        // dry: it tells, and does nothing
        let told = shop.shred(&["ana"]).ended(0).json("shred");
        assert_eq!((&told["applied"], &told["orders"]), (&false.into(), &1.into()), "{told}");
        assert!(told["log"]["readable"].as_u64() > Some(0), "{told}");
        assert_eq!(told["copies"]["order_book"], 1);
        assert_eq!(told["copies"]["chat_log"], 1);
        assert_eq!(shop.viewer_of(shop.show.ana).await.as_deref(), Some("ana"));
        shop.shred(&["verify", "ana"]).ended(1);
        shop.shred(&["ana", "--apply"]).ended(2);
        shop.shred(&["nobody"]).ended(2);

        let keys = told["log"]["readable"].clone();
        let told = shop.shred(&[&["ana"], &BY[..]].concat()).ended(0).json("shred");
        assert_eq!((&told["applied"], &told["log"]["readable"]), (&true.into(), &0.into()));
        assert_eq!(told["log"]["shredded"], keys, "{told}");
        let done = &told["shreddings"][0];
        assert_eq!((&done["author"], &done["ticket"]), (&"kim".into(), &"DPO-7".into()));
        assert_eq!((&done["keys"], &done["head"]), (&keys, &before.len().into()), "{told}");

        assert_eq!(shop.rows().await, before);
        let report = shop.run(&["verify", "--json"]).ended(0).json("verify");
        for invariant in report["invariants"].as_array().expect("a list") {
            if ["I8", "I11"].map(Into::into).contains(&invariant["id"]) {
                assert!(invariant.get("skipped").is_none(), "{invariant}");
            }
        }
        for (written, read) in shop.show.story.log().iter().zip(shop.events(false).await) {
            let named = written.event.personal().and_then(|it| it.viewer.as_ref());
            if named.is_some_and(|viewer| viewer.as_str() == "ana") {
                assert_eq!(personal(&read), None);
            } else if named.is_some() {
                assert_eq!(written.event, read.event);
            }
        }
        assert_eq!(shop.viewer_of(shop.show.ana).await, None);
        assert_eq!(shop.viewer_of(shop.show.bora).await.as_deref(), Some("bora"));
        let models = read_model::open(&shop.url).await.expect("opens");
        let broadcast = domain::ids::BroadcastId(Uuid::from_u128(9));
        let left = models.chat.page(broadcast, None, 10).await.expect("reads").items;
        assert_eq!(left.iter().map(|record| record.name.as_str()).collect::<Vec<_>>(), ["bora"]);

        // by the pseudonym as well, which stays
        let pseudonym = shop.show.story.viewer_ref("ana").to_string();
        let told = shop.shred(&["verify", &pseudonym]).ended(0).json("shred");
        assert_eq!((&told["orders"], &told["log"]["shredded"]), (&1.into(), &keys), "{told}");
        assert_eq!(told["shreddings"].as_array().map(Vec::len), Some(1));
        shop.shred(&["verify", "ana"]).ended(0);
        shop.shred(&["verify", "bora"]).ended(1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_an_order_under_way_is_not_shredded() {
    let mut show = show();
    let broadcast = show.story.live("Saturday");
    let terms = show.story.terms(broadcast, &[("CUP", 2)]);
    let spotlight = show.story.schedule(terms, true);
    let open = show.story.place(spotlight, "ana", &[("CUP", 1)]);
    let dir = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}", dir.path().join("onair.db").display());
    write(&url, show.story.log()).await;
    let seller = show.story.log()[0].metadata.seller.to_string();
    let asked = [&["shred", "ana", "--seller", &seller, "--json"], &BY[..]].concat();
    let said = replay(dir.path(), &url, &asked).ended(1);
    assert!(said.errors.contains("have not ended"), "{}", said.errors);
    let told = said.json("shred");
    assert_eq!(
        (&told["applied"], &told["open_orders"][0]),
        (&false.into(), &open.to_string().into())
    );
    assert!(told["log"]["readable"].as_u64() > Some(0), "{told}");
    assert_eq!(told["shreddings"].as_array().map(Vec::len), Some(0));
}

/// A copy that is written after the copies were taken away would stay: topics hold it in plain.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_shredded_before_the_read_models_have_applied_the_log() {
    let dir = tempfile::tempdir().expect("a folder");
    let shop = Shop::fill_but(fresh_database().await, dir, 1).await;
    let asked = [&["ana", "--wait", "0"], &BY[..]].concat();
    let said = shop.shred(&asked).ended(3);
    assert!(said.errors.contains("order_book has 1 events to apply"), "{}", said.errors);
    assert_eq!(shop.viewer_of(shop.show.ana).await.as_deref(), Some("ana"));
    shop.shred(&["verify", "ana"]).ended(1);

    let models = read_model::open(&shop.url).await.expect("opens");
    let last = shop.events(false).await.pop().expect("an event");
    models.orders.apply(&[last]).await.expect("applies");
    shop.shred(&asked).ended(0);
    assert_eq!(shop.viewer_of(shop.show.ana).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_older_release_wrote_in_plain_is_named_and_stays() {
    let show = show();
    let dir = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}", dir.path().join("onair.db").display());
    fill(&url, &Rows::of(show.story.log())).await.expect("fills");
    let seller = show.story.log()[0].metadata.seller.to_string();
    let asked = [&["shred", "ana", "--seller", &seller, "--json"], &BY[..]].concat();
    let told = replay(dir.path(), &url, &asked).ended(1).json("shred");
    assert_eq!((&told["applied"], &told["log"]["readable"]), (&true.into(), &0.into()));
    let accepted = show.story.log().iter().find(|event| {
        event
            .event
            .personal()
            .and_then(|it| it.viewer.as_ref())
            .is_some_and(|it| it.as_str() == "ana")
    });
    let position = accepted.expect("is there").position.0;
    assert_eq!(told["log"]["plain_positions"], serde_json::json!([position]), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_opens_with_the_keys_beside_it_and_only_with_them() {
    for shop in Shop::both().await {
        let file = shop.dir.path().join("log.ndjson").display().to_string();
        let told = shop.run(&["export", &file, "--json"]).ended(0).json("export");
        assert!(told["personal_keys"].as_u64() >= Some(4), "{told}");
        let text = std::fs::read_to_string(&file).expect("reads");
        assert!(!text.contains("\"ana\""));
        let spotlight = shop.show.spotlight.to_string();
        let asked = ["why", "--viewer", "ana", "--spotlight", &spotlight, "--json"];
        let of_store = shop.run(&asked).ended(0).json("why_viewer");
        let of_file = replay(shop.dir.path(), &file, &asked).ended(0).json("why_viewer");
        assert_eq!(of_store, of_file);
        assert_eq!(of_file["orders"].as_array().map(Vec::len), Some(1), "{of_file}");

        // an import takes the keys along, into either store
        for copy in [format!("sqlite://{file}.db"), fresh_database().await] {
            replay(shop.dir.path(), &copy, &["import", &file]).ended(0);
            let options = StoreOptions::new(Arc::new(SystemClock));
            let readers = open_audit(&copy, &options).await.expect("opens");
            let events = readers.events.read(Position::START, 10_000).await.expect("reads");
            assert_eq!(events, shop.events(false).await);
            let key = shop.show.spotlight.into();
            let all = readers.events.read_key(key, Position::START, 10_000).await.expect("reads");
            let own: Vec<_> = events.into_iter().filter(|event| event.key == key).collect();
            assert_eq!(all, own);
        }

        // who deletes them shreds the export
        let keys = format!("{file}.keys");
        std::fs::remove_file(&keys).expect("is there");
        let blind = replay(shop.dir.path(), &file, &asked).json("why_viewer");
        assert_eq!(blind["orders"].as_array().map(Vec::len), Some(0), "{blind}");
        replay(shop.dir.path(), &file, &["verify"]).ended(0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shredded_person_is_not_in_later_exports() {
    for shop in Shop::both().await {
        shop.shred(&[&["ana"], &BY[..]].concat()).ended(0);
        let file = shop.dir.path().join("log.csv.zst").display().to_string();
        shop.run(&["export", &file, "--format", "csv"]).ended(0);
        let spotlight = shop.show.spotlight.to_string();
        for (viewer, orders) in [("ana", 0), ("bora", 1)] {
            let asked = ["why", "--viewer", viewer, "--spotlight", &spotlight, "--json"];
            let told = replay(shop.dir.path(), &file, &asked).json("why_viewer");
            assert_eq!(told["orders"].as_array().map(Vec::len), Some(orders), "{told}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waited_and_who_only_talked_are_forgotten_as_well() {
    for url in [None, Some(fresh_database().await)] {
        let dir = tempfile::tempdir().expect("a folder");
        let file = format!("sqlite://{}", dir.path().join("onair.db").display());
        let shop = Shop::fill(url.unwrap_or(file), dir).await;
        let models = read_model::open(&shop.url).await.expect("opens");
        let viewer_ref = shop.show.story.viewer_ref("ana");
        let row = serde_json::json!({
            "spotlight_id": shop.show.spotlight, "seller": shop.seller(), "viewer_ref": viewer_ref,
            "viewer": "ana", "lines": [{"sku": "CUP", "quantity": 1}], "status": "ended", "joined": 1,
        });
        let id = Uuid::from_u128(3);
        let spotlight = shop.show.spotlight;
        super::rebuild::sql(
            &shop.url,
            &format!(
                "INSERT INTO waitlist (id, spotlight, view) VALUES ('{id}', '{spotlight}', '{row}')"
            ),
        )
        .await;
        let said = ChatRecord {
            id: Uuid::from_u128(4),
            broadcast: domain::ids::BroadcastId(Uuid::from_u128(9)),
            seller: shop.seller(),
            viewer: "emma".parse().expect("a name"),
            name: "Emma".to_owned(),
            role: Role::Viewer,
            message: "only looking".to_owned(),
            sent_at: shop.show.story.log()[0].recorded_at,
            hidden: false,
        };
        models.chat.append(&[said]).await.expect("keeps");
        for (name, copies) in [("ana", [1, 1]), ("emma", [0, 1])] {
            let told = shop.shred(&["verify", name]).ended(1).json("shred");
            let found = [&told["copies"]["waitlist"], &told["copies"]["chat_log"]];
            assert_eq!(found, copies.map(Value::from).each_ref(), "{told}");
            let told = shop.shred(&[&[name], &BY[..]].concat()).ended(0).json("shred");
            let left = told["copies"].as_object().expect("an object");
            assert!(left.values().all(|count| *count == 0), "{told}");
        }
        shop.shred(&["verify", "bora"]).ended(1);
    }
}
