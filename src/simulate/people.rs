//! Invented people and groups: the same seed and number always give the same, addresses end in `.example`, and no
//! userName is given twice.

/// Somebody who does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
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
        let domain = if seed == 0 { "corp.example".to_owned() } else { format!("corp-{seed}.example") };
        let user_name = format!("{}.{}{numeral}@{domain}", given.to_lowercase(), family.to_lowercase());
        let secret = letters(seed, number, 1);
        Self {
            user_name,
            given: given.to_owned(),
            family: family.to_owned(),
            external_id: format!("00u{}", letters(seed, number, 0)),
            password: format!("Kw3-{secret}"),
        }
    }

    /// `Ann Moss`.
    pub fn display_name(&self) -> String {
        format!("{} {}", self.given, self.family)
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
    fn a_number_and_a_seed_always_give_the_same_person() {
        let ann = Person::new(0, 0);
        assert_eq!(ann, Person::new(0, 0));
        assert_eq!((ann.user_name.as_str(), ann.display_name().as_str()), ("ann.moss@corp.example", "Ann Moss"));
        assert_eq!(ann.external_id.len(), 20);
        assert_ne!(ann.user_name, Person::new(7, 0).user_name);
    }
}
