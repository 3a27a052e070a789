//! Whatever happens, in whatever order: what no path manager ever does.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    LocalUp(u8),
    LocalDown(u8),
    Announce(u8, u8),
    Withdraw(u8),
    /// Of the subflow at this place.
    Down(usize, DownReason),
    Command(Command),
    Wait,
    /// From now on, or no more, subflows to this server address fail so.
    Obstacle(Option<(u8, DownReason)>),
}

fn any_reason() -> impl Strategy<Value = DownReason> {
    prop_oneof![
        Just(DownReason::Closed),
        Just(DownReason::PeerClosed),
        Just(DownReason::Reset(None)),
        Just(DownReason::Reset(Some(RESET))),
        Just(DownReason::Reset(Some(TRANSIENT_RESET))),
        Just(DownReason::TimedOut),
        Just(DownReason::Unreachable),
    ]
}

fn any_command() -> impl Strategy<Value = Command> {
    let id = (0..12_u8).prop_map(AddressId);
    let flags = (0..32_u8).prop_map(EndpointFlags);
    let endpoint = (id.clone(), 1..12_u8, flags.clone(), any::<bool>()).prop_map(
        |(id, net, flags, has_port)| Endpoint {
            id,
            address: client(net),
            port: has_port.then_some(9_000),
            flags,
        },
    );
    let join = (id.clone(), 1..6_u8, 1..6_u8).prop_map(|(local_id, from, to)| Join {
        local: SocketAddr::new(client(from), 0),
        local_id,
        remote: remote(to, to).address,
        remote_id: AddressId(to),
        priority: Priority::Regular,
    });
    prop_oneof![
        4 => endpoint.prop_map(Command::AddEndpoint),
        1 => id.clone().prop_map(Command::RemoveEndpoint),
        1 => Just(Command::FlushEndpoints),
        2 => (id.clone(), flags).prop_map(|(id, flags)| Command::SetFlags(id, flags)),
        1 => (0..12_u8, 0..9_u8).prop_map(|(a, b)| Command::SetLimits(limits(a, b))),
        1 => id.prop_map(Command::Withdraw),
        2 => join.prop_map(Command::Create),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    let obstacle = proptest::option::of((1..6_u8, any_reason()));
    prop_oneof![
        2 => (1..12_u8).prop_map(Step::LocalUp),
        1 => (1..12_u8).prop_map(Step::LocalDown),
        2 => (1..6_u8, 1..6_u8).prop_map(|(id, net)| Step::Announce(id, net)),
        1 => (0..6_u8).prop_map(Step::Withdraw),
        2 => (0..12_usize, any_reason()).prop_map(|(place, why)| Step::Down(place, why)),
        4 => any_command().prop_map(Step::Command),
        2 => Just(Step::Wait),
        1 => obstacle.prop_map(Step::Obstacle),
    ]
}

fn take(script: &mut Script, step: &Step) {
    match *step {
        Step::LocalUp(net) => script.event(PmEvent::LocalUp(client(net))),
        Step::LocalDown(net) => script.event(PmEvent::LocalDown(client(net))),
        Step::Announce(id, net) => {
            script.remotes.retain(|known| known.id.0 != id);
            script.announce(remote(id, net));
        }
        Step::Withdraw(id) => script.withdraw(id),
        Step::Down(place, why) => {
            if let Some(id) = script.subflows.get(place).map(|subflow| subflow.id.0) {
                script.down(id, why);
            }
        }
        // A refusal is an answer, too.
        Step::Command(command) => {
            let _ = script.command(command);
        }
        Step::Wait => {
            if script.manager.poll_timeout().is_some() {
                script.wait();
            }
        }
        Step::Obstacle(obstacle) => {
            script.obstacle = obstacle.map(|(net, why)| (server(net), why));
        }
    }
}

/// What was asked for since `before`, judged by how things stood then.
fn check(script: &Script, before: usize, limit: Limits) -> Result<(), TestCaseError> {
    let extra = script.subflows.iter().filter(|subflow| subflow.id.0 != 0);
    // A lower limit closes nothing.
    let opened = script.log[before..]
        .iter()
        .any(|action| matches!(action, PmAction::Open(_)));
    prop_assert!(!opened || extra.count() <= usize::from(limit.subflows));
    for action in &script.log[before..] {
        if let PmAction::Open(join) = action {
            let is_initial = join.remote == SocketAddr::new(server(1), 10_001);
            prop_assert!(!(is_initial && script.is_denied));
            prop_assert_eq!(join.local.is_ipv4(), join.remote.is_ipv4());
            let is_initial_local = join.local.ip() == client(1);
            prop_assert_eq!(
                is_initial_local,
                join.local_id == AddressId(0),
                "{:?}",
                join
            );
        }
        if let PmAction::Announce(address) = action {
            prop_assert!(address.id != AddressId(0));
        }
    }
    prop_assert!(
        script
            .manager
            .poll_timeout()
            .is_none_or(|at| at > script.now)
    );
    Ok(())
}

fn check_pairs(script: &Script) -> Result<(), TestCaseError> {
    let mut pairs: Vec<_> = script
        .subflows
        .iter()
        .map(|subflow| (subflow.local.ip(), subflow.remote))
        .collect();
    pairs.sort_unstable();
    let all = pairs.len();
    pairs.dedup();
    prop_assert_eq!(pairs.len(), all, "two subflows between the same ends");
    Ok(())
}

proptest! {
    #[test]
    fn no_policy_breaks_the_rules(
        steps in proptest::collection::vec(any_step(), 1..60),
        is_denied: bool,
        subflows in 0..9_u8,
    ) {
        for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::User) {
            let mut limit = limits(subflows, 3);
            let mut script = Script::new(kind, limit);
            script.is_denied = is_denied;
            let mut script = script.established();
            for step in &steps {
                let before = script.log.len();
                if let Step::Command(Command::SetLimits(new)) = step {
                    limit = *new;
                }
                take(&mut script, step);
                check(&script, before, limit)?;
                if !matches!(kind, Kind::Ndiffports(_)) {
                    check_pairs(&script)?;
                }
            }
        }
    }

    #[test]
    fn the_users_manager_does_what_it_is_told_or_says_why_not(
        commands in proptest::collection::vec(any_command(), 1..60),
    ) {
        let mut script = Script::new(Kind::User, limits(4, 0)).established();
        for command in commands {
            let before = script.log.len();
            let result = script.command(command);
            let is_silent = matches!(command, Command::SetLimits(_));
            prop_assert_eq!(
                result.is_ok(),
                script.log.len() > before || is_silent,
                "{:?}: {:?}", command, result
            );
        }
    }
}
