//! Numbers as texts that are equal where the values are: decimals of any length, and fractions.

/// `digits / 10^scale`, without a sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decimal {
    digits: String,
    scale: i32,
}

impl Decimal {
    /// Of digits with a point or without one; whatever else is between them is left out.
    pub fn new(written: &[char]) -> Decimal {
        let digits = written.iter().filter(|c| c.is_ascii_digit()).collect();
        let scale = match written.iter().position(|c| *c == '.') {
            Some(point) => (written.len() - point - 1) as i32,
            None => 0,
        };
        Decimal { digits, scale }
    }

    pub fn times_ten_to(mut self, exponent: i32) -> Decimal {
        self.scale -= exponent;
        self
    }

    pub fn is_whole(&self) -> bool {
        self.scale == 0
    }

    /// In its shortest form: no zeros that say nothing.
    pub fn text(&self) -> String {
        let digits = self.digits.trim_start_matches('0');
        if digits.is_empty() {
            return "0".into();
        }
        let Ok(scale) = usize::try_from(self.scale) else {
            return format!("{digits}{}", "0".repeat(self.scale.unsigned_abs() as usize));
        };
        let padded = format!("{}{digits}", "0".repeat((scale + 1).saturating_sub(digits.len())));
        let (whole, decimals) = padded.split_at(padded.len() - scale);
        match decimals.trim_end_matches('0') {
            "" => whole.into(),
            decimals => format!("{whole}.{decimals}"),
        }
    }

    /// As numerator and denominator; None where they are too large.
    fn ratio(&self) -> Option<(u128, u128)> {
        let digits: u128 = self.digits.parse().ok()?;
        let power = 10_u128.checked_pow(self.scale.unsigned_abs())?;
        match self.scale {
            ..0 => Some((digits.checked_mul(power)?, 1)),
            _ => Some((digits, power)),
        }
    }
}

/// `whole + above / below`: a decimal where it ends (`0.5`), else a fraction in lowest terms (`1/3`). None for a division by zero, or numbers that
/// are too large.
pub(super) fn mixed(whole: &Decimal, above: &Decimal, below: &Decimal) -> Option<String> {
    let ((w, v), (a, b), (c, d)) = (whole.ratio()?, above.ratio()?, below.ratio()?);
    let (n, m) = (a.checked_mul(d)?, b.checked_mul(c)?);
    let (n, m) = lowest(w.checked_mul(m)?.checked_add(n.checked_mul(v)?)?, v.checked_mul(m)?)?;
    // It ends if the denominator divides a power of ten.
    let (mut rest, mut scale) = (m, [0_u32; 2]);
    for (prime, power) in [2, 5].into_iter().zip(&mut scale) {
        while rest % prime == 0 {
            rest /= prime;
            *power += 1;
        }
    }
    let scale = scale[0].max(scale[1]);
    let decimal = |digits: u128| Decimal {
        digits: digits.to_string(),
        scale: scale as i32,
    };
    match rest {
        1 => Some(decimal(n.checked_mul(10_u128.checked_pow(scale)? / m)?).text()),
        _ => Some(format!("{n}/{m}")),
    }
}

/// Whether `above / below` is below 1.
pub(super) fn is_proper(above: &Decimal, below: &Decimal) -> bool {
    let product = |a: Option<(u128, u128)>, b: Option<(u128, u128)>| a?.0.checked_mul(b?.1);
    let sides = [(above, below), (below, above)].map(|(a, b)| product(a.ratio(), b.ratio()));
    matches!(sides, [Some(n), Some(m)] if n < m)
}

/// None for a division by zero.
fn lowest(n: u128, m: u128) -> Option<(u128, u128)> {
    let (mut a, mut b) = (n, m);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    (m != 0).then(|| (n / a, m / a))
}
