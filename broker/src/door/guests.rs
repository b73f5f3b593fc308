//! Who is connected to one door: from where, whether it has shown who it is, and whether it is at work.
//!
//! When there is no room, strangers give way: first the one that has been idle longest, then the oldest. So a
//! newcomer always finds a place beside a crowd that says nothing, and whoever is known keeps theirs.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// A connection must have asked something within this time, its handshakes included.
pub(super) const SILENT_MAX: Duration = Duration::from_secs(10);
/// A stranger's connection that has asked nothing for so long is closed.
const STRANGER_IDLE_MAX: Duration = Duration::from_secs(30);
/// A stranger at work is not sent away sooner, even for want of room.
const AT_WORK_MIN: Duration = Duration::from_secs(1);
/// How many of the oldest are looked at for one that may be sent away.
const LOOKED_AT_MAX: usize = 64;

/// One connection.
#[derive(Debug)]
pub(crate) struct Guest {
    number: u64,
    source: IpAddr,
    guests: Weak<Guests>,
    entered: Instant,
    is_known: AtomicBool,
    at_work: AtomicUsize,
    /// When it was last at work, in milliseconds since it came.
    worked_ms: AtomicU64,
    asked: Notify,
    leave: CancellationToken,
}

impl Guest {
    /// It has shown who it is.
    pub(crate) fn is_known(&self) {
        if !self.is_known.swap(true, Ordering::Relaxed)
            && let Some(guests) = self.guests.upgrade()
        {
            guests.inside().no_stranger(self);
        }
    }

    /// By when it must have asked something.
    pub(super) fn silent_until(&self) -> Instant {
        self.entered + SILENT_MAX
    }

    /// A request of it begins; it ends when the answer is dropped.
    pub(super) fn busy(self: &Arc<Self>) -> Busy {
        if self.at_work.fetch_add(1, Ordering::Relaxed) == 0 {
            self.asked.notify_one();
        }
        Busy(self.clone())
    }

    /// Returns when it is to be cut off: it gave way to another, or it has been silent for too long.
    pub(super) async fn overstays(&self) {
        tokio::select! {
            () = self.leave.cancelled() => {}
            () = self.is_silent() => {}
        }
    }

    async fn is_silent(&self) {
        if timeout_at(self.silent_until(), self.asked.notified()).await.is_err() {
            return;
        }
        while !self.is_known.load(Ordering::Relaxed) {
            let until = self.idle_since() + STRANGER_IDLE_MAX;
            let is_idle = self.at_work.load(Ordering::Relaxed) == 0;
            if is_idle && until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(until.max(Instant::now() + AT_WORK_MIN)).await;
        }
        std::future::pending::<()>().await;
    }

    fn idle_since(&self) -> Instant {
        self.entered + Duration::from_millis(self.worked_ms.load(Ordering::Relaxed))
    }
}

/// A request under way.
pub(super) struct Busy(Arc<Guest>);

impl Drop for Busy {
    fn drop(&mut self) {
        let ms = u64::try_from(self.0.entered.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.worked_ms.store(ms, Ordering::Relaxed);
        self.0.at_work.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All connections of one door.
#[derive(Debug)]
pub(super) struct Guests {
    max: usize,
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    next: u64,
    count: usize,
    strangers: Oldest,
    sources: HashMap<IpAddr, Source>,
}

/// Connections from one address.
#[derive(Debug, Default)]
struct Source {
    count: usize,
    strangers: Oldest,
}

/// By number, so oldest first.
type Oldest = BTreeMap<u64, Arc<Guest>>;

/// A place inside; given back when dropped.
pub(super) struct Place {
    guests: Arc<Guests>,
    pub(super) guest: Arc<Guest>,
}

impl Guests {
    /// Room for so many connections: half of them from one address, and a quarter from one address by strangers.
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max: max.max(4), inside: Mutex::default() })
    }

    /// A place for a newcomer; a stranger may have to give way. None if there is no room and nobody can.
    pub(super) fn enter(self: &Arc<Self>, from: SocketAddr) -> Option<Place> {
        let source = source(from.ip());
        let mut inside = self.inside();
        let there = inside.sources.get(&source);
        let is_full =
            there.is_some_and(|there| there.count >= self.max / 2 || there.strangers.len() >= self.max / 4);
        if is_full {
            let leaving = there.and_then(|there| gives_way(&there.strangers))?;
            inside.send_away(&leaving);
        } else if inside.count >= self.max {
            let leaving = gives_way(&inside.strangers)?;
            inside.send_away(&leaving);
        }
        let guest = Arc::new(Guest {
            number: inside.next,
            source,
            guests: Arc::downgrade(self),
            entered: Instant::now(),
            is_known: AtomicBool::new(false),
            at_work: AtomicUsize::new(0),
            worked_ms: AtomicU64::new(0),
            asked: Notify::new(),
            leave: CancellationToken::new(),
        });
        inside.next += 1;
        inside.count += 1;
        inside.strangers.insert(guest.number, guest.clone());
        let there = inside.sources.entry(source).or_default();
        there.count += 1;
        there.strangers.insert(guest.number, guest.clone());
        drop(inside);
        Some(Place { guests: self.clone(), guest })
    }

    /// A stranger gives way, for want of something else than places.
    pub(super) fn make_room(&self) {
        let mut inside = self.inside();
        if let Some(leaving) = gives_way(&inside.strangers) {
            inside.send_away(&leaving);
        }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    /// No stranger any more: it has shown who it is, or it is leaving.
    fn no_stranger(&mut self, guest: &Guest) {
        self.strangers.remove(&guest.number);
        if let Some(there) = self.sources.get_mut(&guest.source) {
            there.strangers.remove(&guest.number);
        }
    }

    /// Its place is free once its task has ended, which is at once.
    fn send_away(&mut self, guest: &Guest) {
        self.no_stranger(guest);
        guest.leave.cancel();
    }

    fn left(&mut self, guest: &Guest) {
        self.no_stranger(guest);
        self.count -= 1;
        if let Some(there) = self.sources.get_mut(&guest.source) {
            there.count -= 1;
            if there.count == 0 {
                self.sources.remove(&guest.source);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.guests.inside().left(&self.guest);
    }
}

/// Whoever may be sent away: the stranger that has been here longest and asks nothing, else the oldest.
fn gives_way(strangers: &Oldest) -> Option<Arc<Guest>> {
    let oldest = || strangers.values().take(LOOKED_AT_MAX);
    let idle = oldest().find(|guest| guest.at_work.load(Ordering::Relaxed) == 0);
    idle.or_else(|| oldest().find(|guest| guest.entered.elapsed() >= AT_WORK_MIN)).cloned()
}

/// One household of addresses counts as one: a /64 of IPv6.
fn source(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: u8) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, host], 1))
    }

    fn left(place: &Place) -> bool {
        place.guest.leave.is_cancelled()
    }

    #[tokio::test]
    async fn strangers_of_one_address_give_way_to_each_other_and_to_nobody_else() {
        let guests = Guests::new(16);
        let other = guests.enter(at(2)).unwrap();
        let crowd: Vec<Place> = (0..5).map(|_| guests.enter(at(1)).unwrap()).collect();
        let gone: Vec<bool> = crowd.iter().map(left).collect();
        assert_eq!(gone, [true, false, false, false, false], "a quarter, and the oldest goes");
        assert!(!left(&other));
    }

    #[tokio::test]
    async fn whoever_is_known_stays_when_there_is_no_room() {
        let guests = Guests::new(8);
        let known: Vec<Place> = (0..4).map(|host| guests.enter(at(host)).unwrap()).collect();
        known.iter().for_each(|place| place.guest.is_known());
        let strangers: Vec<Place> = (10..14).map(|host| guests.enter(at(host)).unwrap()).collect();
        let newcomer = guests.enter(at(20)).unwrap();
        assert!(left(&strangers[0]) && !left(&strangers[1]) && !left(&newcomer));
        assert!(known.iter().all(|place| !left(place)));
    }

    #[tokio::test]
    async fn a_stranger_at_work_gives_way_after_the_idle_ones() {
        let guests = Guests::new(16);
        let first = guests.enter(at(1)).unwrap();
        let _busy = first.guest.busy();
        let rest: Vec<Place> = (0..4).map(|_| guests.enter(at(1)).unwrap()).collect();
        assert!(!left(&first) && left(&rest[0]));
    }

    #[tokio::test]
    async fn one_address_has_at_most_half_of_the_places_even_if_it_is_known() {
        let guests = Guests::new(8);
        let mine: Vec<Place> = (0..4)
            .map(|_| {
                let place = guests.enter(at(1)).unwrap();
                place.guest.is_known();
                place
            })
            .collect();
        assert!(guests.enter(at(1)).is_none());
        assert!(guests.enter(at(2)).is_some());
        drop(mine);
        assert!(guests.enter(at(1)).is_some());
    }

    #[test]
    fn addresses_of_one_network_count_as_one() {
        let v6 = |text: &str| source(text.parse().unwrap());
        assert_eq!(v6("2001:db8:1:2::1"), v6("2001:db8:1:2:ffff::9"));
        assert_ne!(v6("2001:db8:1:2::1"), v6("2001:db8:1:3::1"));
        assert_eq!(v6("::ffff:192.0.2.1"), v6("192.0.2.1"));
    }
}
