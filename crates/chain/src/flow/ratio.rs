//! Shares of whole units, exact: products of 128 bits divided without rounding away anything.

/// `of * part / whole` rounded down, and the remainder. `part` must not exceed `whole`, and `whole` must not be 0, so that
/// the quotient fits.
pub(super) fn share(of: u128, part: u128, whole: u128) -> (u128, u128) {
    if let Some(product) = of.checked_mul(part) {
        return (product / whole, product % whole);
    }
    // Doubling, one bit of `of` at a time: the remainder stays below `whole`, the quotient at most `of`.
    let (mut quotient, mut remainder) = (0_u128, 0_u128);
    for bit in (0..u128::BITS).rev() {
        quotient <<= 1;
        let doubled = add(remainder, remainder, whole);
        remainder = doubled.1;
        quotient += doubled.0;
        if of >> bit & 1 == 1 {
            let added = add(remainder, part, whole);
            remainder = added.1;
            quotient += added.0;
        }
    }
    (quotient, remainder)
}

/// The sum of two numbers up to `whole`, the first below it: how often `whole` goes into it (0, 1 or, if the second is
/// `whole`, 1), and the rest.
fn add(a: u128, b: u128, whole: u128) -> (u128, u128) {
    if a >= whole - b { (1, a - (whole - b)) } else { (0, a + b) }
}

/// Splits `amount` among `weights`, whose sum is `whole`, in proportion: each share rounded down, and what is left over
/// one by one to the largest remainders, the first of equals first (Hamilton's method). No share exceeds its weight
/// if `amount` does not exceed `whole`.
pub(super) fn apportion(amount: u128, weights: &[u128], whole: u128) -> Vec<u128> {
    if whole == 0 {
        return vec![0; weights.len()];
    }
    let exact: Vec<(u128, u128)> = weights.iter().map(|weight| share(*weight, amount, whole)).collect();
    let mut shares: Vec<u128> = exact.iter().map(|(share, _)| *share).collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    let remainder = |at: usize| exact.get(at).map_or(0, |(_, remainder)| *remainder);
    order.sort_by(|a, b| remainder(*b).cmp(&remainder(*a)).then(a.cmp(b)));
    let mut left = amount - shares.iter().sum::<u128>();
    // Fewer are left over than there are weights with a remainder.
    for at in order {
        if left == 0 {
            break;
        }
        if let Some(share) = shares.get_mut(at) {
            *share += 1;
            left -= 1;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wide_products_are_exact() {
        assert_eq!(share(u128::MAX, u128::MAX, u128::MAX), (u128::MAX, 0));
        assert_eq!(share(u128::MAX, u128::MAX - 1, u128::MAX), (u128::MAX - 1, 0));
        assert_eq!(share(1 << 127, 3 << 100, 7 << 120), ((3 << 107) / 7, ((3 << 107) % 7) << 120));
    }

    proptest! {
        /// Quotient and remainder put the product together again, modulo 2^128.
        #[test]
        fn division_is_undone(of: u128, a: u128, b: u128) {
            let (part, whole) = (a.min(b), a.max(b).max(1));
            let (quotient, remainder) = share(of, part, whole);
            prop_assert!(remainder < whole && quotient <= of);
            prop_assert_eq!(quotient.wrapping_mul(whole).wrapping_add(remainder), of.wrapping_mul(part));
        }

        #[test]
        fn long_division_agrees_with_the_machine(of: u64, a: u64, b: u64) {
            let (part, whole) = (u128::from(a.min(b)) << 60, u128::from(a.max(b).max(1)) << 60);
            let (quotient, remainder) = share(u128::from(of) << 30, part, whole);
            let expected = (u128::from(of) << 30, part >> 60, whole >> 60);
            if let Some(product) = expected.0.checked_mul(expected.1) {
                prop_assert_eq!((quotient, remainder >> 60), (product / expected.2, product % expected.2));
            }
        }

        /// Nothing is lost, and no share is further than one unit from the exact one.
        #[test]
        fn apportionment_is_complete(weights in proptest::collection::vec(0_u128..1 << 120, 1..12), part: u128) {
            let whole: u128 = weights.iter().sum();
            let amount = if whole == 0 { 0 } else { part % (whole + 1) };
            let shares = apportion(amount, &weights, whole);
            prop_assert_eq!(shares.iter().sum::<u128>(), amount);
            for (got, weight) in shares.iter().zip(&weights) {
                prop_assert!(got <= weight);
                if whole > 0 {
                    let down = share(*weight, amount, whole).0;
                    prop_assert!(*got == down || *got == down + 1);
                }
            }
        }
    }
}
