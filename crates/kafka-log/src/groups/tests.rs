use bytes::Bytes;
use proptest::prelude::*;

use super::group::{Answer, Group, GroupRules, Phase, Refusal};
use super::member::{JoinAnswer, JoinAsk};

const RULES: GroupRules = GroupRules { initial_delay_ms: 300, members_max: 10 };

fn ask(name: &str, member_id: &str) -> JoinAsk {
    JoinAsk {
        member_id: member_id.to_owned(),
        instance: None,
        client_id: name.to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        session_ms: 10_000,
        rebalance_ms: 60_000,
        protocol_type: "consumer".to_owned(),
        protocols: vec![("range".to_owned(), Bytes::from(name.to_owned()))],
        new_id: format!("{name}-id"),
        id_required: false,
    }
}

fn later<T: std::fmt::Debug>(answer: Answer<T>) -> u64 {
    match answer {
        Answer::Later(ticket) => ticket,
        Answer::Now(now) => panic!("answered at once: {now:?}"),
    }
}

fn refused<T: std::fmt::Debug>(answer: Answer<T>) -> Refusal {
    match answer {
        Answer::Now(Err(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

/// A stable group of `names`; returns the leader's answer.
fn stable(group: &mut Group, now: u64, names: &[&str]) -> JoinAnswer {
    let tickets: Vec<u64> = names.iter().map(|name| later(group.join(now, ask(name, "")))).collect();
    assert!(group.tick(now + 300));
    let answers: Vec<JoinAnswer> = tickets.iter().map(|t| group.collect_join(*t).unwrap().unwrap()).collect();
    assign_all(group, now + 300, &answers)
}

fn assign_all(group: &mut Group, now: u64, answers: &[JoinAnswer]) -> JoinAnswer {
    let leader = answers.iter().find(|answer| answer.member_id == answer.leader).unwrap().clone();
    let mut tickets = Vec::new();
    for answer in answers.iter().filter(|answer| answer.member_id != answer.leader) {
        tickets.push((
            answer.member_id.clone(),
            later(group.sync(now, &answer.member_id, answer.generation, vec![])),
        ));
    }
    let parts = leader
        .members
        .iter()
        .map(|one| (one.member_id.clone(), Bytes::from(one.member_id.clone())))
        .collect();
    tickets.push((
        leader.member_id.clone(),
        later(group.sync(now, &leader.member_id, leader.generation, parts)),
    ));
    for (id, ticket) in tickets {
        assert_eq!(group.collect_sync(ticket).unwrap().unwrap(), Bytes::from(id));
    }
    assert_eq!(group.phase, Phase::Stable);
    leader
}

#[test]
fn first_members_are_awaited_and_one_leads() {
    let mut group = Group::new(RULES);
    let first = later(group.join(0, ask("a", "")));
    assert!(!group.tick(299));
    let second = later(group.join(299, ask("b", "")));
    assert!(!group.tick(300), "the second member prolonged the wait");
    assert!(group.tick(599));
    let first = group.collect_join(first).unwrap().unwrap();
    let second = group.collect_join(second).unwrap().unwrap();
    assert_eq!((first.generation, first.protocol.as_str(), first.members.len()), (1, "range", 2));
    assert_eq!((second.generation, second.leader.as_str(), second.members.len()), (1, "a-id", 0));
    assign_all(&mut group, 600, &[first, second]);
}

#[test]
fn a_third_member_makes_the_others_join_again() {
    let mut group = Group::new(RULES);
    let leader = stable(&mut group, 0, &["a", "b"]);
    let newcomer = later(group.join(1000, ask("c", "")));
    assert_eq!(group.heartbeat(1001, "a-id", None, 1), Err(Refusal::RebalanceInProgress));
    assert_eq!(group.check_commit("a-id", None, leader.generation), Ok(()), "offsets may still be committed");
    let a = later(group.join(1002, ask("a", "a-id")));
    assert!(group.collect_join(newcomer).is_none());
    let b = later(group.join(1003, ask("b", "b-id")));
    let answers = [newcomer, a, b].map(|ticket| group.collect_join(ticket).unwrap().unwrap());
    assert!(answers.iter().all(|answer| answer.generation == 2 && answer.leader == "a-id"));
    assert_eq!(refused(group.sync(1004, "b-id", 1, vec![])), Refusal::IllegalGeneration);
    assign_all(&mut group, 1005, &answers);
}

#[test]
fn who_does_not_join_again_in_time_is_out() {
    let mut group = Group::new(RULES);
    stable(&mut group, 0, &["a", "b"]);
    let newcomer = later(group.join(1000, ask("c", "")));
    for now in (5000..61_000).step_by(5000) {
        assert_eq!(group.heartbeat(now, "a-id", None, 1), Err(Refusal::RebalanceInProgress));
        assert_eq!(group.heartbeat(now, "b-id", None, 1), Err(Refusal::RebalanceInProgress));
        group.tick(now);
    }
    assert!(group.tick(61_000));
    let answer = group.collect_join(newcomer).unwrap().unwrap();
    assert_eq!((answer.leader.as_str(), answer.members.len()), ("c-id", 1));
    assert_eq!(group.heartbeat(61_001, "a-id", None, 1), Err(Refusal::UnknownMemberId));
}

#[test]
fn a_silent_member_loses_its_session() {
    let mut group = Group::new(RULES);
    stable(&mut group, 0, &["a", "b"]);
    assert_eq!(group.heartbeat(9000, "a-id", None, 1), Ok(()));
    assert!(group.tick(10_301), "b was silent for ten seconds");
    assert_eq!(group.heartbeat(10_302, "a-id", None, 1), Err(Refusal::RebalanceInProgress));
    let a = later(group.join(10_303, ask("a", "a-id")));
    assert_eq!(group.collect_join(a).unwrap().unwrap().members.len(), 1);
}

#[test]
fn leaving_wakes_the_others_and_the_last_one_empties_the_group() {
    let mut group = Group::new(RULES);
    stable(&mut group, 0, &["a", "b"]);
    assert_eq!(group.leave(400, "a-id", None), Ok(()));
    assert_eq!(group.leave(400, "a-id", None), Err(Refusal::UnknownMemberId));
    let b = later(group.join(500, ask("b", "b-id")));
    let answer = group.collect_join(b).unwrap().unwrap();
    assert_eq!(answer.leader, "b-id");
    assert_eq!(group.leave(600, "b-id", None), Ok(()));
    assert_eq!((group.phase, group.next_deadline()), (Phase::Empty, None));
    assert_eq!(group.check_commit("", None, -1), Ok(()), "an empty group takes anybody's offsets");
}

#[test]
fn a_leader_that_never_assigns_is_dropped() {
    let mut group = Group::new(RULES);
    let a = later(group.join(0, ask("a", "")));
    let b = later(group.join(0, ask("b", "")));
    group.tick(300);
    assert_eq!(group.collect_join(a).unwrap().unwrap().leader, "a-id");
    let b = group.collect_join(b).unwrap().unwrap();
    let sync = later(group.sync(301, &b.member_id, b.generation, vec![]));
    for now in (5000..60_000).step_by(5000) {
        group.heartbeat(now, "a-id", None, 1).unwrap();
        group.tick(now);
    }
    assert!(group.tick(60_301));
    assert_eq!(group.collect_sync(sync), Some(Err(Refusal::RebalanceInProgress)));
    assert_eq!(group.members.len(), 1);
}

#[test]
fn ids_are_handed_out_before_joining_and_lapse() {
    let mut group = Group::new(RULES);
    let first = JoinAsk { id_required: true, ..ask("a", "") };
    assert_eq!(refused(group.join(0, first)), Refusal::MemberIdRequired);
    assert_eq!(refused(group.join(0, ask("x", "made-up"))), Refusal::UnknownMemberId);
    let ticket = later(group.join(1, ask("a", "a-id")));
    group.tick(301);
    assert_eq!(group.collect_join(ticket).unwrap().unwrap().member_id, "a-id");
    let lapsing = JoinAsk { id_required: true, ..ask("b", "") };
    assert_eq!(refused(group.join(400, lapsing)), Refusal::MemberIdRequired);
    group.tick(10_400);
    assert_eq!(refused(group.join(10_401, ask("b", "b-id"))), Refusal::UnknownMemberId);
}

#[test]
fn protocols_must_have_one_in_common() {
    let mut group = Group::new(RULES);
    let mut both = ask("a", "");
    both.protocols = vec![("sticky".into(), Bytes::new()), ("range".into(), Bytes::new())];
    let first = later(group.join(0, both));
    let second = later(group.join(0, ask("b", "")));
    let mut other = ask("c", "");
    other.protocols = vec![("sticky".into(), Bytes::new())];
    assert_eq!(refused(group.join(0, other)), Refusal::InconsistentGroupProtocol);
    let connect = JoinAsk { protocol_type: "connect".into(), ..ask("d", "") };
    assert_eq!(refused(group.join(0, connect)), Refusal::InconsistentGroupProtocol);
    group.tick(300);
    assert_eq!(group.collect_join(first).unwrap().unwrap().protocol, "range");
    assert!(group.collect_join(second).unwrap().is_ok());
}

#[test]
fn an_instance_that_comes_back_replaces_and_fences_its_old_self() {
    let mut group = Group::new(RULES);
    let old = JoinAsk { instance: Some("i".into()), ..ask("a", "") };
    let ticket = later(group.join(0, old));
    group.tick(300);
    let answer = group.collect_join(ticket).unwrap().unwrap();
    assign_all(&mut group, 300, &[answer]);
    let new = JoinAsk { instance: Some("i".into()), new_id: "a2".into(), ..ask("a", "") };
    let ticket = later(group.join(400, new));
    group.tick(700);
    assert_eq!(group.collect_join(ticket).unwrap().unwrap().member_id, "a2");
    assert_eq!(group.heartbeat(701, "a-id", Some("i"), 2), Err(Refusal::FencedInstanceId));
}

#[test]
fn a_full_group_takes_no_more() {
    let mut group = Group::new(GroupRules { members_max: 2, ..RULES });
    stable(&mut group, 0, &["a", "b"]);
    assert_eq!(refused(group.join(400, ask("c", ""))), Refusal::GroupMaxSizeReached);
}

proptest! {
    /// Whatever clients do, nobody waits for ever, and a generation has one leader, who is a member.
    #[test]
    fn nobody_waits_for_ever(steps in prop::collection::vec((0_usize..6, 0_u8..5, 0_u64..4000), 1..80)) {
        let mut group = Group::new(RULES);
        let (mut now, mut joins, mut syncs) = (0, Vec::new(), Vec::new());
        for (who, what, passed) in steps {
            now += passed;
            let name = format!("m{who}");
            let id = format!("{name}-id");
            match what {
                0 => {
                    let member = if group.members.contains_key(&id) { id.as_str() } else { "" };
                    if let Answer::Later(ticket) = group.join(now, ask(&name, member)) { joins.push(ticket); }
                }
                1 => {
                    let generation = group.generation;
                    let parts = group.members.keys().map(|id| (id.clone(), Bytes::from(id.clone()))).collect();
                    if let Answer::Later(ticket) = group.sync(now, &id, generation, parts) { syncs.push(ticket); }
                }
                2 => { let _ = group.heartbeat(now, &id, None, group.generation); }
                3 => { let _ = group.leave(now, &id, None); }
                _ => { group.tick(now); }
            }
            if matches!(group.phase, Phase::Stable | Phase::Completing) {
                prop_assert!(group.members.contains_key(&group.leader));
            }
            prop_assert_eq!(group.phase == Phase::Empty, group.members.is_empty());
            prop_assert!(group.phase == Phase::Empty || group.next_deadline().is_some() || group.members.values().all(|m| m.is_waiting()));
        }
        for _ in 0..40 {
            now += 10_000;
            group.tick(now);
        }
        for ticket in joins {
            prop_assert!(group.collect_join(ticket).is_some());
        }
        for ticket in syncs {
            prop_assert!(group.collect_sync(ticket).is_some());
        }
        prop_assert_eq!(group.phase, Phase::Empty);
    }
}
