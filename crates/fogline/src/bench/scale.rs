//! How long many hosts take to come and to go.

use super::bed::{Bed, Way, plan};
use super::row::{Bound, Row};
use super::{Bench, Stop};
use fogline_plan::Profile;
use std::time::Instant;
use units::Delay;

/// Hosts, seconds until they are up at most, and until they are gone.
const SIZES: [(usize, f64, Option<f64>); 2] = [(200, 1.0, Some(1.5)), (1000, 5.0, None)];
const QUICK_HOSTS: usize = 20;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>, Stop> {
    let rounds = bench.choose(3, 1);
    let sizes = if bench.quick { vec![(QUICK_HOSTS, 1.0, Some(1.5))] } else { SIZES.to_vec() };
    let mut rows = Vec::new();
    for (hosts, up_max, down_max) in sizes {
        bench.say(format_args!("{hosts} hosts up and down, {rounds} rounds"));
        let (mut up, mut down) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let (rise, fall) = once(bench, hosts)?;
            up.push(rise);
            down.push(fall);
        }
        let row = Row::new(format!("scale-{hosts}-up"), format!("{hosts} hosts up, agents ready"), "s", up);
        rows.push(row.bound(Bound::Below(up_max), bench.quick));
        let row =
            Row::new(format!("scale-{hosts}-down"), format!("{hosts} hosts down, all released"), "s", down);
        rows.push(match down_max {
            Some(limit) => row.bound(Bound::Below(limit), bench.quick),
            None => row,
        });
    }
    Ok(rows)
}

/// Seconds until all agents answer, and until everything is gone again.
fn once(bench: &Bench, hosts: usize) -> Result<(f64, f64), Stop> {
    let profile = Profile { delay: Delay::from_millis(5), ..Profile::default() };
    let ring: Vec<_> = (0..hosts).map(|host| (host, (host + 1) % hosts, profile)).collect();
    let plan = plan(hosts, &ring);
    let begin = Instant::now();
    let bed = Bed::deploy(bench, &plan, Way::Emulator)?;
    for agent in bed.agents() {
        agent.info(fogline_agent::limits::CALL_DEADLINE)?;
    }
    let up = begin.elapsed().as_secs_f64();
    let begin = Instant::now();
    bed.release()?;
    Ok((up, begin.elapsed().as_secs_f64()))
}
