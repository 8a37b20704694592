//! What is declared depends on the picks alone.

use proptest::prelude::{ProptestConfig, prop, prop_assert, prop_assert_eq, proptest};

use super::*;

/// Two swarms without quiet between them, on eight stations.
fn swarm(seed: u64) -> Vec<Placed> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let stations = stations(&mut random, 8, 40.0);
    let mut picks = noise(&mut random, &stations, 60, 0.0..400.0);
    for index in 0..20 {
        let source = Source {
            seconds: 20.0 * f64::from(index) + random.random_range(0.0..10.0),
            east_km: random.random_range(-15.0..15.0),
            north_km: random.random_range(-15.0..15.0),
            depth_km: random.random_range(3.0..10.0),
        };
        picks.extend(arrivals(&mut random, &stations, source, (100.0, 0.2)));
    }
    picks
}

/// Pushes in chunks, in a shuffled order within them, with a watermark and a snapshot behind each.
fn in_chunks(picks: &[Placed], cuts: &[usize], seed: u64) -> Vec<Association> {
    let mut sorted = picks.to_vec();
    sorted.sort_by_key(|(pick, _)| pick.pick_time);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut associator = Associator::new(AssociateSettings::default(), model());
    let mut declared = Vec::new();
    let mut bounds: Vec<usize> = cuts.iter().map(|cut| cut % sorted.len()).collect();
    bounds.push(sorted.len());
    bounds.sort_unstable();
    let mut from = 0;
    for to in bounds {
        let mut chunk = sorted[from..to].to_vec();
        for index in (1..chunk.len()).rev() {
            chunk.swap(index, random.random_range(0..=index));
        }
        for (pick, at) in chunk {
            associator.push_pick(pick, at);
        }
        let watermark = sorted.get(to).map_or(Timestamp::MAX, |(pick, _)| pick.pick_time);
        declared.extend(associator.advance(watermark));
        let state = serde_json::to_string(&associator.snapshot()).unwrap();
        let state: AssociatorState = serde_json::from_str(&state).unwrap();
        associator = Associator::restore(AssociateSettings::default(), model(), state);
        from = to;
    }
    declared
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn events_do_not_depend_on_order_cuts_or_restarts(
        seed in 0_u64..1000,
        cuts in prop::collection::vec(0_usize..10_000, 0..12),
    ) {
        let picks = swarm(seed);
        let mut whole = associate(&AssociateSettings::default(), &picks);
        let mut cut = in_chunks(&picks, &cuts, seed);
        prop_assert!(whole.len() >= 12, "{}", whole.len());
        whole.sort_by_key(|event| event.event_id.clone());
        cut.sort_by_key(|event| event.event_id.clone());
        prop_assert_eq!(whole, cut);
    }
}
