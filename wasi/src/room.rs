//! Which sockets a guest can write to as far as anybody knows, and when it is told. In: what became of everything that it
//! sent; out: whether to tell it at once, later, or to ask the host. Invariants: a socket that did not take all it was given
//! is the host's to watch; what is known and was not told is told after [`SHORTEST`] to [`RESTING`] at the latest.
//!
//! Event loops ask after everything they send, and many of them about every connection in every call, although they want
//! to know of changes alone: answered as it is asked, they would never sleep. Two things tell them from programs that
//! wait in order to write: they were told and have sent nothing since, and being told never made them send.

use rustix::time::ClockId;

use crate::process::now;

/// When a guest that was told, and did not write, is told again, in nanoseconds: at first, after it let that pass several
/// times, and while it sends nothing at all.
const SHORTEST: u64 = 10_000_000;
const LONGEST: u64 = 80_000_000;
const RESTING: u64 = 1_280_000_000;

/// How often a guest lets it pass that it was told, until it is told later.
const PATIENCE: u8 = 4;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing was sent, or the socket was full.
    #[default]
    Unknown,
    /// All was taken of what was sent last.
    Open,
    /// So it was, and the guest knows, since a round if it was told in one.
    Told(u32),
}

/// What is known of a descriptor.
#[derive(Clone, Copy, Debug, Default)]
struct Room {
    state: State,
    /// The round in which the guest was told that it can read.
    read: u32,
    /// How often in sequence the guest was told and had no use for it.
    ignored: u8,
}

/// How to answer whether a socket can be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    AskHost,
    Yes,
    /// The guest knows that already.
    Later,
}

/// All descriptors of a guest.
#[derive(Debug)]
pub(crate) struct Rooms {
    rooms: Vec<Room>,
    /// Whether there may be some that the guest is to be told of later.
    later: bool,
    told_at: u64,
    pause: u64,
}

impl Default for Rooms {
    fn default() -> Rooms {
        Rooms { rooms: Vec::new(), later: false, told_at: 0, pause: SHORTEST }
    }
}

impl Rooms {
    fn at(&mut self, fd: u32) -> &mut Room {
        let slot = fd as usize;
        if slot >= self.rooms.len() {
            self.rooms.resize(slot + 1, Room::default());
        }
        &mut self.rooms[slot]
    }

    /// Takes note of whether an open socket took all it was given. `round` counts the guest's calls.
    pub(crate) fn sent(&mut self, fd: u32, all: bool, round: u32) {
        self.pause = self.pause.min(LONGEST);
        let room = self.at(fd);
        if let State::Told(told) = room.state {
            // Who was told of something to read as well may have sent for that reason.
            if told != round {
                room.ignored = room.ignored.saturating_add(1);
            } else if room.read != round {
                room.ignored = 0;
                self.pause = SHORTEST;
            }
        }
        self.at(fd).state = if all { State::Open } else { State::Unknown };
    }

    /// Takes note that the guest is told that it can read.
    pub(crate) fn read(&mut self, fd: u32, round: u32) {
        if let Some(room) = self.rooms.get_mut(fd as usize) {
            room.read = round;
        }
    }

    /// Nothing is known any more of a descriptor.
    pub(crate) fn forget(&mut self, fd: u32) {
        if let Some(room) = self.rooms.get_mut(fd as usize) {
            *room = Room::default();
        }
    }

    /// The answer for a guest that asks; `fresh`: the call before did not.
    pub(crate) fn ask(&mut self, fd: u32, fresh: bool, round: u32) -> Answer {
        let Some(room) = self.rooms.get_mut(fd as usize) else { return Answer::AskHost };
        let tells = match room.state {
            State::Unknown => return Answer::AskHost,
            State::Open => fresh || room.ignored < PATIENCE,
            // It asks anew, and had no use for the answer before.
            State::Told(_) if fresh && room.ignored < PATIENCE => {
                room.ignored += 1;
                true
            }
            State::Told(_) => false,
        };
        if !self.later {
            (self.later, self.told_at) = (true, now(ClockId::Monotonic));
        }
        if !tells {
            // The round before: it is not told in this one.
            room.state = State::Told(round.wrapping_sub(1));
            return Answer::Later;
        }
        room.state = State::Told(round);
        Answer::Yes
    }

    /// When there may be something to tell, if ever.
    pub(crate) fn due(&self) -> Option<u64> {
        self.later.then(|| self.told_at.saturating_add(self.pause))
    }

    /// Begins to tell what is due or, since the call is to end, what the guest may have a use for; whether it is.
    pub(crate) fn begin_telling(&mut self, ending: bool) -> Option<bool> {
        if !self.later {
            return None;
        }
        let now = now(ClockId::Monotonic);
        let due = now >= self.told_at.saturating_add(self.pause);
        if due {
            (self.later, self.told_at) = (false, now);
            self.pause = (self.pause * 2).min(RESTING);
        }
        (due || ending).then_some(due)
    }

    /// Whether to tell of a descriptor, once telling has begun.
    pub(crate) fn tells(&mut self, fd: u32, due: bool, round: u32) -> bool {
        let Some(room) = self.rooms.get_mut(fd as usize) else { return false };
        let State::Told(told) = room.state else { return false };
        self.later = true;
        if told == round || !(due || room.ignored < PATIENCE) {
            return false;
        }
        room.state = State::Told(round);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FD: u32 = 5;

    /// In each round sends before it asks.
    fn send_and_ask(rooms: &mut Rooms, rounds: std::ops::Range<u32>) -> Vec<Answer> {
        let once = |round| {
            rooms.sent(FD, true, round - 1);
            rooms.ask(FD, false, round)
        };
        rounds.map(once).collect()
    }

    #[test]
    fn who_writes_when_told_is_told_at_once() {
        let mut rooms = Rooms::default();
        assert_eq!(rooms.ask(FD, true, 1), Answer::AskHost);
        assert_eq!(send_and_ask(&mut rooms, 2..20), [Answer::Yes; 18]);
        rooms.sent(FD, false, 20);
        assert_eq!(rooms.ask(FD, false, 21), Answer::AskHost, "it was full");
    }

    #[test]
    fn who_has_no_use_for_it_is_told_later_until_it_has() {
        let mut rooms = Rooms::default();
        rooms.sent(FD, true, 1);
        for round in (2..).step_by(3).take(PATIENCE.into()) {
            assert_eq!(rooms.ask(FD, false, round), Answer::Yes);
            assert_eq!(rooms.ask(FD, false, round + 1), Answer::Later);
            rooms.sent(FD, true, round + 1);
        }
        assert_eq!(rooms.ask(FD, false, 50), Answer::Later);
        assert_eq!(rooms.begin_telling(false), None, "not so soon");
        assert_eq!(rooms.ask(FD, true, 51), Answer::Later, "asked anew, as always in vain");
        rooms.told_at = 0;
        assert_eq!(rooms.begin_telling(false), Some(true));
        assert!(rooms.tells(FD, true, 53) && !rooms.tells(FD, true, 53), "once");
        // It writes because of that.
        rooms.sent(FD, true, 53);
        assert_eq!(rooms.ask(FD, false, 54), Answer::Yes);
    }

    #[test]
    fn who_asks_anew_is_told_unless_that_is_in_vain() {
        let mut rooms = Rooms::default();
        rooms.sent(FD, true, 1);
        assert_eq!(rooms.ask(FD, true, 2), Answer::Yes);
        for round in 3..3 + u32::from(PATIENCE) {
            assert_eq!(rooms.ask(FD, true, round), Answer::Yes);
        }
        assert_eq!(rooms.ask(FD, true, 10), Answer::Later);
        rooms.sent(FD, true, 10);
        assert_eq!(rooms.ask(FD, true, 11), Answer::Yes);
        rooms.sent(FD, true, 11);
        assert_eq!([rooms.ask(FD, false, 12), rooms.ask(FD, true, 13)], [Answer::Yes; 2], "it was of use");
    }

    #[test]
    fn pauses_grow_while_nothing_is_sent() {
        let mut rooms = Rooms::default();
        rooms.sent(FD, true, 1);
        rooms.ask(FD, false, 2);
        let mut pause = SHORTEST;
        for round in 3..20 {
            assert_eq!(rooms.pause, pause);
            rooms.told_at = 0;
            assert_eq!(rooms.begin_telling(false), Some(true));
            assert!(rooms.tells(FD, true, round));
            pause = (pause * 2).min(RESTING);
        }
        rooms.sent(FD, true, 30);
        assert_eq!(rooms.pause, LONGEST);
        rooms.forget(FD);
        assert_eq!(rooms.ask(FD, false, 31), Answer::AskHost);
    }
}
