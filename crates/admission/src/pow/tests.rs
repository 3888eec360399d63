use proptest::prelude::*;

use super::*;

const NOW: UnixNanos = UnixNanos::from_secs(1_700_000_000);

fn puzzle() -> Puzzle {
    Puzzle::new(PuzzleConfig::default(), &Secret::new([7; 32]))
}

fn source(ip: &str) -> Source {
    Source::of(ip.parse().unwrap())
}

/// As a browser does it.
fn solve(challenge: &str, bits: u32) -> String {
    let is_right =
        |n: &u64| leading_zeros(&sha256(&[challenge.as_bytes(), b".", n.to_string().as_bytes()])) >= bits;
    (0..).find(is_right).unwrap().to_string()
}

#[test]
fn a_solved_challenge_clears_its_source_once_and_for_a_while() {
    let (puzzle, home) = (puzzle(), source("192.0.2.1"));
    let challenge = puzzle.challenge(home, 10, [1; 16], NOW);
    assert_eq!(challenge.len(), CHALLENGE_BYTES);
    let solution = solve(&challenge, 10);
    assert_eq!(puzzle.redeem(&challenge, &solution, source("192.0.2.2"), NOW), Err(PowError::Foreign));
    let wrong = (0..)
        .map(|n: u64| n.to_string())
        .find(|n| leading_zeros(&sha256(&[challenge.as_bytes(), b".", n.as_bytes()])) < 10);
    assert_eq!(puzzle.redeem(&challenge, &wrong.unwrap(), home, NOW), Err(PowError::Wrong));
    let clearance = puzzle.redeem(&challenge, &solution, home, NOW).unwrap();
    assert_eq!(puzzle.redeem(&challenge, &solution, home, NOW), Err(PowError::Used));
    assert_eq!(puzzle.n_seen(), 1);

    assert_eq!(puzzle.check_clearance(&clearance, home, NOW), Ok(()));
    assert_eq!(puzzle.check_clearance(&clearance, source("192.0.2.2"), NOW), Err(PowError::Foreign));
    let later = |secs| NOW.plus(Duration::from_secs(secs));
    assert_eq!(puzzle.check_clearance(&clearance, home, later(1_799)), Ok(()));
    assert_eq!(puzzle.check_clearance(&clearance, home, later(1_800)), Err(PowError::Expired));
    let other = Puzzle::new(PuzzleConfig::default(), &Secret::new([8; 32]));
    assert_eq!(other.check_clearance(&clearance, home, NOW), Err(PowError::Foreign));
}

#[test]
fn a_challenge_expires_and_is_remembered_until_then() {
    let (puzzle, home) = (puzzle(), source("2001:db8::1"));
    let later = |secs| NOW.plus(Duration::from_secs(secs));
    for begin in [0, 1, 60, 119, 120, 121, 300] {
        let nonce = [u8::try_from(begin % 251).unwrap(); 16];
        let challenge = puzzle.challenge(home, 8, nonce, later(begin));
        let solution = solve(&challenge, 8);
        assert!(puzzle.redeem(&challenge, &solution, source("2001:db8::ffff"), later(begin)).is_ok());
        for after in 0..130 {
            let at = later(begin + after);
            let expected = if after < 120 { PowError::Used } else { PowError::Expired };
            assert_eq!(puzzle.redeem(&challenge, &solution, home, at), Err(expected), "{begin} {after}");
        }
    }
}

#[test]
fn what_is_remembered_is_bounded_and_then_nothing_is_accepted() {
    let mut puzzle = puzzle();
    puzzle.seen_max = 20;
    let home = source("192.0.2.1");
    let redeem = |n: u8, secs: u64| {
        let now = NOW.plus(Duration::from_secs(secs));
        let challenge = puzzle.challenge(home, 8, [n; 16], now);
        puzzle.redeem(&challenge, &solve(&challenge, 8), home, now)
    };
    assert!((0..20).all(|n| redeem(n, 0).is_ok()));
    assert_eq!(redeem(20, 0), Err(PowError::Full));
    assert!((21..41).all(|n| redeem(n, 121).is_ok()));
    assert_eq!(puzzle.n_seen(), 40);
    assert!(redeem(41, 1_000).is_ok());
    assert_eq!(puzzle.n_seen(), 1);
}

#[test]
fn the_difficulty_is_the_one_that_was_given_and_within_bounds() {
    let (puzzle, home) = (puzzle(), source("192.0.2.1"));
    for (asked, given) in [(0, "08"), (8, "08"), (20, "14"), (255, "20")] {
        assert_eq!(&puzzle.challenge(home, asked, [1; 16], NOW)[17..19], given);
    }
    // Made easier by the client: no longer ours.
    let hard = puzzle.challenge(home, 32, [1; 16], NOW);
    let easy = format!("{}08{}", &hard[..17], &hard[19..]);
    assert_eq!(puzzle.redeem(&easy, &solve(&easy, 8), home, NOW), Err(PowError::Foreign));
}

#[test]
fn zero_bits_are_counted_from_the_left() {
    let mut hash = [0; 32];
    assert_eq!(leading_zeros(&hash), 256);
    hash[2] = 0x10;
    assert_eq!(leading_zeros(&hash), 19);
    hash[0] = 0x80;
    assert_eq!(leading_zeros(&hash), 0);
}

proptest! {
    #[test]
    fn nothing_but_our_own_text_is_accepted(text in ".{0,90}", solution in ".{0,24}", at in 0_usize..83, to in 0_u8..16) {
        let (puzzle, home) = (puzzle(), source("192.0.2.1"));
        prop_assert!(puzzle.redeem(&text, &solution, home, NOW).is_err());
        prop_assert!(puzzle.check_clearance(&text, home, NOW).is_err());
        let challenge = puzzle.challenge(home, 8, [3; 16], NOW);
        let mut edited = challenge.clone().into_bytes();
        edited[at] = b"0123456789abcdef"[usize::from(to)];
        let edited = String::from_utf8(edited).unwrap();
        if edited != challenge {
            prop_assert!(puzzle.redeem(&edited, &solve(&edited, 8), home, NOW).is_err());
        }
    }
}
