//! What an expression is worth where its variables have given values: LaTeX's arithmetic, roots, powers and elementary functions.

/// Values of variables: each name has one between 0.5 and 1.5 that the number of the point and the name decide.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point(pub u64);

impl Point {
    fn of(self, name: &str) -> f64 {
        // FNV-1a, then the finalizer of SplitMix64, so that names that differ in one letter lie apart.
        let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let mut z = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325 ^ self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15), fnv);
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        0.5 + (z >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// None where it is no expression, or has no finite value.
pub(super) fn value(text: &[char], point: Point) -> Option<f64> {
    let text: Vec<char> = text.iter().copied().filter(|c| *c != ' ').collect();
    let mut parser = Parser {
        text: &text,
        at: 0,
        depth: 0,
        point,
    };
    let value = parser.sum()?;
    (parser.at == text.len() && value.is_finite()).then_some(value)
}

/// Brackets within brackets that are followed.
const DEEPEST: usize = 64;

struct Parser<'a> {
    /// Without spaces.
    text: &'a [char],
    at: usize,
    depth: usize,
    point: Point,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn takes(&mut self, c: char) -> bool {
        let there = self.peek() == Some(c);
        self.at += usize::from(there);
        there
    }

    /// `a + b - c`
    fn sum(&mut self) -> Option<f64> {
        if self.depth > DEEPEST {
            return None;
        }
        self.depth += 1;
        let mut sum = self.product()?;
        loop {
            if self.takes('+') {
                sum += self.product()?;
            } else if self.takes('-') {
                sum -= self.product()?;
            } else {
                self.depth -= 1;
                return Some(sum);
            }
        }
    }

    /// `a × b / c`, and factors beside one another.
    fn product(&mut self) -> Option<f64> {
        let mut product = self.signed()?;
        loop {
            if self.takes('×') || self.takes('*') {
                product *= self.signed()?;
            } else if self.takes('/') || self.takes('÷') {
                product /= self.signed()?;
            } else if self.begins_factor() {
                product *= self.power()?;
            } else {
                return Some(product);
            }
        }
    }

    /// Whether a factor begins here that may stand beside another one: digits behind a bracket or a factorial alone.
    fn begins_factor(&self) -> bool {
        let behind = self.at > 0 && ['!', ')', ']', '}'].contains(&self.text[self.at - 1]);
        let begins = |c: char| c.is_alphabetic() || ['(', '[', '{', '\\'].contains(&c) || behind && c.is_ascii_digit();
        self.peek().is_some_and(begins)
    }

    fn signed(&mut self) -> Option<f64> {
        if self.takes('-') {
            return Some(-self.signed()?);
        }
        if self.takes('+') {
            return self.signed();
        }
        self.power()
    }

    fn power(&mut self) -> Option<f64> {
        let mut base = self.atom()?;
        while self.takes('!') {
            base = factorial(base)?;
        }
        match self.takes('^') {
            true => Some(base.powf(self.exponent()?)),
            false => Some(base),
        }
    }

    /// What stands behind `^`: all digits, since 2^10 is meant as it is read by people.
    fn exponent(&mut self) -> Option<f64> {
        match self.peek()?.is_ascii_digit() {
            true => self.number(),
            false => self.argument(),
        }
    }

    /// What a command takes: a group, a command with its own, or one character; a sign before it.
    fn argument(&mut self) -> Option<f64> {
        match self.peek()? {
            '-' => {
                self.at += 1;
                Some(-self.argument()?)
            }
            c if c.is_ascii_digit() => {
                self.at += 1;
                c.to_digit(10).map(f64::from)
            }
            _ => self.atom(),
        }
    }

    fn atom(&mut self) -> Option<f64> {
        let c = self.peek()?;
        if c.is_ascii_digit() || c == '.' {
            return self.number();
        }
        self.at += 1;
        match c {
            '(' => self.closed(')'),
            '[' => self.closed(']'),
            '{' => self.closed('}'),
            '|' => self.closed('|').map(f64::abs),
            '\\' => self.command(),
            'e' => Some(std::f64::consts::E),
            c if c.is_alphabetic() => self.variable(c.to_string()),
            _ => None,
        }
    }

    fn closed(&mut self, close: char) -> Option<f64> {
        let inside = self.sum()?;
        self.takes(close).then_some(inside)
    }

    /// Digits with decimals; a fraction right behind a whole number is added to it. One with an index, such as a base, is a name.
    fn number(&mut self) -> Option<f64> {
        let from = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit() || c == '.') {
            self.at += 1;
        }
        let digits: String = self.text[from..self.at].iter().collect();
        let number: f64 = digits.parse().ok()?;
        if self.peek() == Some('_') {
            return self.variable(digits);
        }
        let fraction = ['\\', 'f', 'r', 'a', 'c'];
        if !digits.contains('.') && self.text[self.at..].starts_with(&fraction) {
            let before = self.at;
            self.at += fraction.len();
            let whole = |p: &mut Self| p.whole_argument();
            if let (Some(above), Some(below)) = (whole(self), whole(self))
                && above < below
            {
                return Some(number + above / below);
            }
            self.at = before;
        }
        Some(number)
    }

    /// An argument that is a whole number.
    fn whole_argument(&mut self) -> Option<f64> {
        let group = self.takes('{');
        let from = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit()) && (group || self.at == from) {
            self.at += 1;
        }
        let digits: String = self.text[from..self.at].iter().collect();
        let number = digits.parse().ok()?;
        (!group || self.takes('}')).then_some(number)
    }

    /// A variable with its index, if it has one.
    fn variable(&mut self, mut name: String) -> Option<f64> {
        if self.takes('_') {
            name.push('_');
            if self.takes('{') {
                while !self.takes('}') {
                    name.push(self.peek()?);
                    self.at += 1;
                }
            } else {
                name.push(self.peek()?);
                self.at += 1;
            }
        }
        Some(self.point.of(&name))
    }

    fn command(&mut self) -> Option<f64> {
        let from = self.at;
        // Spaces are gone, so that a name ends where a known one does: \pi r is \pir.
        let rest: String = self.text[from..]
            .iter()
            .take_while(|c| c.is_ascii_alphabetic())
            .collect();
        let name = NAMES
            .iter()
            .filter(|name| rest.starts_with(**name))
            .max_by_key(|name| name.len());
        let name = name.copied().unwrap_or(&rest).to_string();
        if name.is_empty() {
            return None;
        }
        self.at += name.len();
        match name.as_str() {
            "frac" => {
                let above = self.argument()?;
                Some(above / self.argument()?)
            }
            "sqrt" => {
                let index = if self.takes('[') { self.closed(']')? } else { 2.0 };
                let radicand = self.argument()?;
                Some(match index {
                    2.0 => radicand.sqrt(),
                    3.0 => radicand.cbrt(),
                    index => radicand.powf(1.0 / index),
                })
            }
            "binom" => {
                let n = self.argument()?;
                let k = self.argument()?;
                Some(factorial(n)? / factorial(k)? / factorial(n - k)?)
            }
            "pi" => Some(std::f64::consts::PI),
            name => match FUNCTIONS.iter().find(|(own, _)| *own == name) {
                Some((_, function)) => self.function(*function, name == "log"),
                None => self.variable(format!("\\{name}")),
            },
        }
    }

    /// `\sin 2x`, `\sin^2 x`, `\log_2 8`: the argument is a bracket, or the factors that follow.
    fn function(&mut self, function: fn(f64) -> f64, logarithm: bool) -> Option<f64> {
        let base = if logarithm && self.takes('_') {
            Some(self.argument()?)
        } else {
            None
        };
        let power = if self.takes('^') { self.argument()? } else { 1.0 };
        let argument = match self.peek()? {
            '(' | '{' | '[' => self.power()?,
            _ => {
                let mut product = self.power()?;
                while self.begins_factor() && !self.begins_function() {
                    product *= self.power()?;
                }
                product
            }
        };
        let value = match base {
            Some(base) => argument.ln() / base.ln(),
            None => function(argument),
        };
        // \sin^{-1} is the inverse function, which is not followed.
        match power {
            -1.0 => None,
            power => Some(value.powf(power)),
        }
    }

    fn begins_function(&self) -> bool {
        let rest: String = self.text[self.at..].iter().take(8).collect();
        FUNCTIONS
            .iter()
            .any(|(name, _)| rest.strip_prefix('\\').is_some_and(|rest| rest.starts_with(name)))
    }
}

type Function = fn(f64) -> f64;

const FUNCTIONS: [(&str, Function); 16] = [
    ("sin", f64::sin),
    ("cos", f64::cos),
    ("tan", f64::tan),
    ("cot", |x| 1.0 / x.tan()),
    ("sec", |x| 1.0 / x.cos()),
    ("csc", |x| 1.0 / x.sin()),
    ("sinh", f64::sinh),
    ("cosh", f64::cosh),
    ("tanh", f64::tanh),
    ("coth", |x| 1.0 / x.tanh()),
    ("arcsin", f64::asin),
    ("arccos", f64::acos),
    ("arctan", f64::atan),
    ("ln", f64::ln),
    ("log", f64::log10),
    ("exp", f64::exp),
];

/// Commands that are known, of which none is a part of a longer one but `pi` and the like.
const NAMES: [&str; 58] = [
    "frac",
    "sqrt",
    "binom",
    "pi",
    "sin",
    "cos",
    "tan",
    "cot",
    "sec",
    "csc",
    "sinh",
    "cosh",
    "tanh",
    "coth",
    "arcsin",
    "arccos",
    "arctan",
    "ln",
    "log",
    "exp",
    "infty",
    "ell",
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "varepsilon",
    "zeta",
    "eta",
    "theta",
    "vartheta",
    "iota",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "xi",
    "rho",
    "sigma",
    "tau",
    "upsilon",
    "phi",
    "varphi",
    "chi",
    "psi",
    "omega",
    "Gamma",
    "Delta",
    "Theta",
    "Lambda",
    "Xi",
    "Pi",
    "Sigma",
    "Upsilon",
    "Phi",
    "Psi",
    "Omega",
];

fn factorial(x: f64) -> Option<f64> {
    const LARGEST: f64 = 170.0;
    (x >= 0.0 && x.fract() == 0.0 && x <= LARGEST).then(|| (1..=x as u32).map(f64::from).product())
}
