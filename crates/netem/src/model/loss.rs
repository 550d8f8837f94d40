//! Which packets of a link are lost.

use super::countdown::Countdown;
use super::random::Random;
use ::link::LossModel;
use units::Percent;

/// The losses of one link.
#[derive(Clone, Debug)]
pub struct LossProcess {
    random: Random,
    model: LossModel,
    course: Course,
}

#[derive(Clone, Debug)]
enum Course {
    Independent(Countdown),
    Bursts(Bursts),
}

/// The chain of Gilbert and Elliott. A packet is lost by the state that it meets, then the state may change. The
/// stay in each state is drawn as a whole.
#[derive(Clone, Debug)]
struct Bursts {
    bad: bool,
    change: Countdown,
    /// In the good and in the bad state; while the other lasts, a countdown rests, which changes no odds.
    losses: [Countdown; 2],
}

impl LossProcess {
    /// Losses by `model`, from the stream `random`; a link begins in the good state.
    pub fn new(model: LossModel, mut random: Random) -> Self {
        let course = Course::new(model, false, &mut random);
        Self { random, model, course }
    }

    /// Whether the next packet is lost.
    pub fn takes_next(&mut self) -> bool {
        match &mut self.course {
            Course::Independent(losses) => losses.strikes(&mut self.random),
            Course::Bursts(bursts) => bursts.takes_next(self.model, &mut self.random),
        }
    }

    /// Goes on by `model`. A link in the bad state stays there if the new model has one.
    pub fn follow(&mut self, model: LossModel) {
        if model != self.model {
            let bad = matches!(&self.course, Course::Bursts(bursts) if bursts.bad);
            self.course = Course::new(model, bad, &mut self.random);
            self.model = model;
        }
    }
}

impl Course {
    fn new(model: LossModel, begins_bad: bool, random: &mut Random) -> Self {
        match model {
            LossModel::Independent(share) => Self::Independent(Countdown::new(share, random)),
            LossModel::GilbertElliott { to_bad, to_good, bad, good } => {
                let leaving = if begins_bad { to_good } else { to_bad };
                let change = Countdown::new(leaving, random);
                let losses = [good, bad].map(|share: Percent| Countdown::new(share, random));
                Self::Bursts(Bursts { bad: begins_bad, change, losses })
            }
        }
    }
}

impl Bursts {
    fn takes_next(&mut self, model: LossModel, random: &mut Random) -> bool {
        let lost = self.losses[usize::from(self.bad)].strikes(random);
        if self.change.strikes(random) {
            self.bad = !self.bad;
            if let LossModel::GilbertElliott { to_bad, to_good, .. } = model {
                self.change = Countdown::new(if self.bad { to_good } else { to_bad }, random);
            }
        }
        lost
    }
}
