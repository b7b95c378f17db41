use domain::broadcast::BroadcastCommand;

use crate::support::{
    broadcast, broadcast_ended, broadcast_scheduled, broadcast_started, given, given_nothing, krw,
};

fn schedule(title: &str) -> BroadcastCommand {
    BroadcastCommand::ScheduleBroadcast {
        broadcast_id: broadcast(),
        title: title.to_owned(),
        currency: krw(0).currency,
        starts_at: None,
    }
}

const END: BroadcastCommand = BroadcastCommand::EndBroadcast { reason: None };

#[test]
fn it_is_scheduled_once() {
    given_nothing().when_broadcast(schedule("Friday")).then(vec![broadcast_scheduled()]);
    given(vec![broadcast_scheduled()]).when_broadcast(schedule("Friday")).then_nothing();
    given(vec![broadcast_scheduled()])
        .when_broadcast(schedule("Monday"))
        .then_refused("already_exists");
}

#[test]
fn it_starts_once_and_not_after_its_end() {
    let start = || BroadcastCommand::StartBroadcast;
    given_nothing().when_broadcast(start()).then_refused("not_found");
    given(vec![broadcast_scheduled()]).when_broadcast(start()).then(vec![broadcast_started()]);
    given(vec![broadcast_scheduled(), broadcast_started()]).when_broadcast(start()).then_nothing();
    given(vec![broadcast_scheduled(), broadcast_ended()])
        .when_broadcast(start())
        .then_refused("broadcast_ended");
}

#[test]
fn it_ends_once_also_before_it_began() {
    given_nothing().when_broadcast(END).then_refused("not_found");
    given(vec![broadcast_scheduled()]).when_broadcast(END).then(vec![broadcast_ended()]);
    given(vec![broadcast_scheduled(), broadcast_started()])
        .when_broadcast(END)
        .then(vec![broadcast_ended()]);
    given(vec![broadcast_scheduled(), broadcast_ended()]).when_broadcast(END).then_nothing();
}
