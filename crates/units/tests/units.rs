//! Units from outside: text in, value out, text again.

use proptest::prelude::*;
use units::{Delay, Percent, Rate, Size};

#[test]
fn the_values_of_the_surveillance_network_parse() {
    assert_eq!("50ms".parse(), Ok(Delay::from_millis(50)));
    assert_eq!("1gbit".parse::<Rate>().map(Rate::bits_per_s), Ok(1_000_000_000));
    assert_eq!("150 Mbit".parse::<Rate>().map(Rate::bits_per_s), Ok(150_000_000));
    assert_eq!("2%".parse::<Percent>().map(Percent::per_billion), Ok(20_000_000));
    assert_eq!("0.1%".parse::<Percent>().map(Percent::fraction), Ok(0.001));
    assert_eq!("64mib".parse(), Ok(Size::from_bytes(64 << 20)));
}

#[test]
fn refusals_say_what_would_be_right() {
    for (text, part) in
        [("fast", "150mbit"), ("-5mbit", "above zero"), ("0mbit", "above zero"), ("10", "kbit")]
    {
        let message = text.parse::<Rate>().expect_err(text).to_string();
        assert!(message.contains(part), "{text}: {message}");
    }
    assert!("120%".parse::<Percent>().expect_err("over 100").to_string().contains("0% to 100%"));
    assert!("x2%y".parse::<Percent>().is_err() && "2".parse::<Percent>().is_err());
    assert!("1e3ms".parse::<Delay>().is_err() && "nanms".parse::<Delay>().is_err());
}

#[test]
fn round_trip_loss_is_what_two_draws_lose() {
    let loss: Percent = "5%".parse().expect("5%");
    assert!((loss.round_trip() - 0.0975).abs() < 1e-9);
}

proptest! {
    #[test]
    fn printing_and_parsing_are_inverse(nanos in 0u64..1 << 50, bits in 1u64..1 << 45, parts in 0u32..=1_000_000_000) {
        let delay = Delay::from_nanos(nanos);
        prop_assert_eq!(delay.to_string().parse::<Delay>(), Ok(delay));
        let rate = Rate::from_bits_per_s(bits).expect("above zero");
        prop_assert_eq!(rate.to_string().parse::<Rate>(), Ok(rate));
        let loss = Percent::from_fraction(f64::from(parts) / 1e9).expect("a fraction");
        prop_assert_eq!(loss.to_string().parse::<Percent>(), Ok(loss));
    }

    #[test]
    fn no_text_panics(text in ".{0,24}") {
        let _ = (text.parse::<Delay>(), text.parse::<Rate>(), text.parse::<Percent>(), text.parse::<Size>());
    }
}
