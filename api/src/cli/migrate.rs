//! Schema and topics.

use commands::log::topics::{Topics, TopicsError, ensure_topics};
use commands::store;
use serde_json::json;

use super::{CliError, SettingArgs, Verdict};
use crate::compose::StartError;
use crate::config::Backend;

/// Bring the schema up to date and create the topics that are missing
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    settings: SettingArgs,
    /// Print an object
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args) -> Result<Verdict, CliError> {
    let (config, backend) = args.settings.load()?;
    store::migrate(&config.database).await.map_err(StartError::from)?;
    let mut created = Vec::new();
    if let Backend::Cluster(urls) = &backend {
        let topics = Topics::prefixed(&config.kafka.topic_prefix);
        let (partitions, replication) = (config.kafka.partitions, config.kafka.replication);
        created = ensure_topics(&urls.kafka, &topics, partitions, replication)
            .await
            .map_err(topics_error)?;
    }
    if args.json {
        println!("{}", json!({"schema": "current", "topics_created": created}));
    } else {
        println!("the schema is current");
        for topic in created {
            println!("created the topic {topic}");
        }
    }
    Ok(Verdict::Good)
}

fn topics_error(error: TopicsError) -> CliError {
    match error {
        TopicsError::PartitionCount { .. } => CliError::usage(error),
        error => CliError::unreachable("the topics cannot be created", error),
    }
}
