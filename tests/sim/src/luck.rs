//! Where all chance comes from: one stream of numbers for each sort of misfortune of each install, so
//! that leaving one out changes little else. What struck is written down, and can be asked for again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::str::FromStr;

macro_rules! lucks {
    ($($variant:ident $name:literal $doc:literal,)*) => {
        /// A sort of thing that may happen.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum Luck {
            $(#[doc = $doc] $variant,)*
        }

        impl Luck {
            /// All sorts.
            pub(crate) const ALL: &'static [Luck] = &[$(Luck::$variant,)*];

            fn name(self) -> &'static str {
                match self { $(Luck::$variant => $name,)* }
            }
        }
    };
}

lucks! {
    Timing "timing" "How long things take: no misfortune.",
    Person "person" "A person asks for something.",
    Vendor "vendor" "A release is published.",
    ByHand "by-hand" "Somebody changes the customer's world by hand.",
    Unwell "unwell" "Something that is deployed does not do its work any more.",
    MadeUnwell "made-unwell" "What a deploy has made does not do its work.",
    Customer "customer" "Somebody says when an install is changed, or answers a plan.",
    Operator "operator" "Somebody of the vendor freezes, rolls out, halts, goes back.",
    Flood "flood" "A tenant asks for far more than its share.",
    ToolFails "tool-fails" "A tool ends badly.",
    BrokerDies "broker-dies" "A broker dies in a commit.",
    BrokerKilled "broker-killed" "A broker is killed between two batches.",
    Outage "outage" "All brokers are away for a while.",
    BrokerClock "broker-clock" "The brokers' clock jumps.",
    RunnerClock "runner-clock" "A runner's clock jumps.",
    Restore "restore" "The brokers' store is put back to a backup.",
    Lost "lost" "A call is lost on its way.",
    AnswerLost "answer-lost" "The answer to a call is lost.",
    Twice "twice" "A call arrives twice.",
    Echo "echo" "A call arrives once more, much later.",
    WakeLost "wake-lost" "Nobody wakes the waiting runner.",
    OfferLost "offer-lost" "The answer to a poll is lost.",
    Replay "replay" "An envelope of before comes once more.",
    RunnerDies "runner-dies" "A runner's process dies; its children live on, or not.",
    HostReplaced "host-replaced" "Another host takes over; the old one may run on, cut off.",
    Pause "pause" "A runner's process is stopped for a while.",
    DiskFull "disk-full" "A runner's disk is full for a while.",
}

/// One thing that happened: the so-manieth of its sort to an install.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Struck {
    pub(crate) luck: Luck,
    pub(crate) install: usize,
    pub(crate) number: u32,
}

impl fmt::Display for Struck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.luck.name(), self.install, self.number)
    }
}

impl FromStr for Struck {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not like person:2:5");
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default();
        let luck = Luck::ALL.iter().copied().find(|luck| luck.name() == name).ok_or_else(wrong)?;
        let mut number = || parts.next().and_then(|part| part.parse::<u32>().ok()).ok_or_else(wrong);
        Ok(Self { luck, install: number()? as usize, number: number()? })
    }
}

struct Stream {
    rng: fastrand::Rng,
    asked: u32,
}

/// The dice of one run.
pub(crate) struct Dice {
    seed: u64,
    streams: BTreeMap<(Luck, usize), Stream>,
    /// Only these happen, if they are named.
    keep: Option<BTreeSet<Struck>>,
    pub(crate) struck: Vec<Struck>,
    /// False once everything is being healed.
    pub(crate) faults: bool,
}

impl Dice {
    pub(crate) fn new(seed: u64, keep: Option<BTreeSet<Struck>>) -> Self {
        Self { seed, streams: BTreeMap::new(), keep, struck: vec![], faults: true }
    }

    fn stream(&mut self, luck: Luck, install: usize) -> &mut Stream {
        let seed = self.seed;
        self.streams.entry((luck, install)).or_insert_with(|| {
            let mut hasher = DefaultHasher::new();
            (seed, luck, install).hash(&mut hasher);
            Stream { rng: fastrand::Rng::with_seed(hasher.finish()), asked: 0 }
        })
    }

    /// The numbers of this sort for this install.
    pub(crate) fn rng(&mut self, luck: Luck, install: usize) -> &mut fastrand::Rng {
        &mut self.stream(luck, install).rng
    }

    /// How long something takes.
    pub(crate) fn wait_ms(&mut self, install: usize, range: Range<i64>) -> i64 {
        self.rng(Luck::Timing, install).i64(range)
    }

    /// Whether what happens so many times out of a thousand happens now.
    pub(crate) fn strikes(&mut self, luck: Luck, install: usize, per_mille: u32) -> bool {
        if !self.faults {
            return false;
        }
        let stream = self.stream(luck, install);
        let hit = stream.rng.u32(0..1_000) < per_mille;
        stream.asked += 1;
        let struck = Struck { luck, install, number: stream.asked };
        let happens = hit && self.keep.as_ref().is_none_or(|keep| keep.contains(&struck));
        if happens {
            self.struck.push(struck);
        }
        happens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_struck_is_named_and_read_back() {
        for luck in Luck::ALL {
            let struck = Struck { luck: *luck, install: 7, number: 12 };
            assert_eq!(struck.to_string().parse(), Ok(struck));
        }
        assert!("person:1".parse::<Struck>().is_err());
        assert!("storm:1:1".parse::<Struck>().is_err());
    }

    #[test]
    fn only_what_is_kept_strikes() {
        let all = |dice: &mut Dice| (0..50).filter(|_| dice.strikes(Luck::Lost, 1, 300)).count();
        let mut dice = Dice::new(5, None);
        assert!(all(&mut dice) > 3);
        let keep = dice.struck[1];
        let mut again = Dice::new(5, Some(BTreeSet::from([keep])));
        assert_eq!((all(&mut again), again.struck.clone()), (1, vec![keep]));
    }
}
