//! Invented people and groups: the same seed and number always give the same, addresses end in `.example`, and no
//! userName is given twice.

/// Somebody who does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Which of the people of a seed.
    pub number: u64,
    /// `ann.moss@corp.example`; also the e-mail address.
    pub user_name: String,
    /// The given name.
    pub given: String,
    /// The family name.
    pub family: String,
    /// The provider's own id of the person: `00u` and 17 letters and digits, as Okta's are (OKTA-7).
    pub external_id: String,
    /// What a provider sends in place of a password.
    pub password: String,
}

impl Person {
    /// The person with this number, of the people of this seed.
    pub fn new(seed: u64, number: u64) -> Self {
        let (givens, families) = (GIVEN.len() as u64, FAMILY.len() as u64);
        let given = number % givens;
        let round = number / givens;
        let family = (given * 7 + round) % families;
        let again = round / families;
        let given = GIVEN[given as usize];
        let family = FAMILY[family as usize];
        let numeral = if again == 0 { String::new() } else { (again + 1).to_string() };
        let user_name = format!("{}.{}{numeral}@{}", given.to_lowercase(), family.to_lowercase(), domain(seed));
        let secret = letters(seed, number, 1);
        Self {
            number,
            user_name,
            given: given.to_owned(),
            family: family.to_owned(),
            external_id: format!("00u{}", letters(seed, number, 0)),
            password: format!("Kw3-{secret}"),
        }
    }

    /// A department, for providers that send one.
    pub fn department(&self) -> &'static str {
        AREA[(self.number % AREA.len() as u64) as usize]
    }

    /// `10042`, for providers that send one.
    pub fn employee_number(&self) -> String {
        (10_000 + self.number).to_string()
    }

    /// `ann.moss.corp.example`: a short name that nobody else has.
    pub fn nickname(&self) -> String {
        self.user_name.replace('@', ".")
    }

    /// The provider's own id of the person, for those that have GUIDs.
    pub fn guid(&self) -> String {
        guid(&self.user_name)
    }

    /// `Ann Moss`.
    pub fn display_name(&self) -> String {
        format!("{} {}", self.given, self.family)
    }

    /// Somebody else of the same seed, for a test besides: `trial.ann.moss@corp.example`.
    #[must_use]
    pub fn besides(&self, what: &str) -> Self {
        let user_name = format!("{what}.{}", self.user_name);
        Self { user_name, external_id: format!("{}{what}", self.external_id), ..self.clone() }
    }

    /// The same person after a wedding.
    #[must_use]
    pub fn renamed(&self) -> Self {
        Self { family: format!("{}-Reyes", self.family), ..self.clone() }
    }
}

/// The name of the group with this number, of the groups of this seed.
pub fn group_name(seed: u64, number: u64) -> String {
    let (areas, kinds) = (AREA.len() as u64, KIND.len() as u64);
    let area = AREA[(number % areas) as usize];
    let kind = KIND[((number / areas + number) % kinds) as usize];
    let again = number / (areas * kinds);
    let mut name = format!("{area} {kind}");
    if again > 0 {
        name.push_str(&format!(" {}", again + 1));
    }
    if seed > 0 {
        name.push_str(&format!(" S{seed}"));
    }
    name
}

/// Where the people of a seed have their addresses.
pub fn domain(seed: u64) -> String {
    if seed == 0 { "corp.example".to_owned() } else { format!("corp-{seed}.example") }
}

/// Whether a userName or a group's name holds the mark of a seed other than 0. What has it was made by a simulator: nobody's
/// address ends in `.example`.
pub fn is_marked(name: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let address = || name.rsplit_once("@corp-")?.1.strip_suffix(".example").map(number);
    address().unwrap_or_else(|| name.rsplit_once(" S").is_some_and(|(_, seed)| number(seed)))
}

/// A GUID that depends on the text alone.
pub fn guid(text: &str) -> String {
    let hash = |start: u64| text.bytes().fold(start, |hash, byte| mix(hash ^ u64::from(byte)));
    uuid::Uuid::from_u64_pair(hash(0), hash(1)).to_string()
}

/// 17 letters and digits that depend on the three numbers alone.
fn letters(seed: u64, number: u64, purpose: u64) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let mut state = mix(seed.wrapping_mul(3).wrapping_add(purpose)).wrapping_add(number);
    let mut text = String::with_capacity(17);
    while text.len() < 17 {
        let mut bits = mix(state);
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        for _ in 0..9 {
            text.push(char::from(ALPHABET[(bits % 62) as usize]));
            bits /= 62;
        }
    }
    text.truncate(17);
    text
}

/// The finaliser of SplitMix64: a bijection that scatters.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

const GIVEN: &[&str] = &[
    "Ann", "Bo", "Carla", "Dmitri", "Esra", "Farid", "Greta", "Hugo", "Ines", "Jamal", "Kaya", "Lars", "Mara", "Nils",
    "Olga", "Pavel", "Quinn", "Rosa", "Sven", "Tara", "Umar", "Vera", "Wanda", "Xenia", "Yara", "Zoltan", "Aiko",
    "Bruno", "Chloe", "Dario", "Elif", "Finn",
];

const FAMILY: &[&str] = &[
    "Moss", "Reyes", "Lund", "Okafor", "Petrov", "Quist", "Rahman", "Sato", "Tanaka", "Ueda", "Vargas", "Weiss", "Xu",
    "Yilmaz", "Zeman", "Abbott", "Brandt", "Costa", "Dubois", "Eriksen", "Ferrari", "Gruber", "Haas", "Ivanova",
    "Jansen", "Kowalski", "Larsen", "Meyer", "Novak", "Olsen", "Pereira",
];

const AREA: &[&str] =
    &["Platform", "Mobile", "Payments", "Support", "Research", "Data", "Security", "Design", "Billing", "Search"];
const KIND: &[&str] = &["Crew", "Guild", "Leads"];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn nobody_is_invented_twice() {
        let people = (0..10_000).map(|number| Person::new(0, number));
        let (names, ids): (HashSet<_>, HashSet<_>) =
            people.map(|person| (person.user_name, person.external_id)).unzip();
        assert_eq!((names.len(), ids.len()), (10_000, 10_000));
        assert_eq!((0..1000).map(|number| group_name(0, number)).collect::<HashSet<_>>().len(), 1000);
    }

    #[test]
    fn only_names_of_a_seed_other_than_0_are_marked() {
        let names = |seed| [Person::new(seed, 3).user_name, group_name(seed, 3)];
        assert!(names(7).iter().all(|name| is_marked(name)));
        assert!(!names(0).iter().any(|name| is_marked(name)));
        for name in ["ann@corp-north.example", "ann@corp-7.com", "Crew S", "Crew Support", "iPhone S7 "] {
            assert!(!is_marked(name), "{name}");
        }
    }

    #[test]
    fn a_number_and_a_seed_always_give_the_same_person() {
        let ann = Person::new(0, 0);
        assert_eq!(ann, Person::new(0, 0));
        assert_eq!((ann.user_name.as_str(), ann.display_name().as_str()), ("ann.moss@corp.example", "Ann Moss"));
        assert_eq!(ann.external_id.len(), 20);
        assert_ne!(ann.user_name, Person::new(7, 0).user_name);
    }
}
