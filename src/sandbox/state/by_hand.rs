//! What happens to accounts without the API: LDAP brings them, people lead projects, log in, are deactivated or deleted
//! by an administrator with a browser. Tests and the demo set their scenes with it.

use chrono::{DateTime, Utc};

use super::{Change, NewAccount, Reference, Refusal, World};

impl World {
    /// Puts an account into a read-only directory, as LDAP does: no rule is asked (DC-33).
    ///
    /// # Errors
    /// When the username is taken.
    pub fn add_read_only_account(&mut self, new: &NewAccount) -> Result<String, Refusal> {
        self.check_username(&new.username, None).map_err(|text| Refusal::field("username", text))?;
        let id = self.insert(new);
        self.record_mut(id).read_only = true;
        Ok(self.record(id).key.to_string())
    }

    /// Binds the account to an issue, so that it cannot be deleted (DC-42).
    ///
    /// # Errors
    /// 404 for an unknown account.
    pub fn bind_to_issue(&mut self, username: &str, reference: Reference) -> Result<(), Refusal> {
        let id = self.existing(username)?;
        self.references.entry(id).or_default().insert(reference);
        Ok(())
    }

    /// Lets the person log in, or not, as an administrator with a browser would do.
    ///
    /// # Errors
    /// 404 for an unknown account.
    pub fn force_active(&mut self, username: &str, active: bool) -> Result<(), Refusal> {
        let id = self.existing(username)?;
        self.set_active(id, active);
        self.changed();
        Ok(())
    }

    /// Changes name, address or login name, as an administrator with a browser would do.
    ///
    /// # Errors
    /// 404 for an unknown account; what an update refuses.
    pub fn force_change(&mut self, username: &str, change: &Change) -> Result<(), Refusal> {
        let id = self.existing(username)?;
        self.update_account(id, change, id)
    }

    /// Deletes the account whatever binds it, as an administrator with database access would do.
    ///
    /// # Errors
    /// 404 for an unknown account.
    pub fn force_delete(&mut self, username: &str) -> Result<(), Refusal> {
        let id = self.existing(username)?;
        self.remove(id);
        Ok(())
    }

    /// Notes when the person last logged in (DC-45).
    ///
    /// # Errors
    /// 404 for an unknown account.
    pub fn log_in(&mut self, username: &str, at: DateTime<Utc>) -> Result<(), Refusal> {
        let id = self.existing(username)?;
        self.record_mut(id).last_login = Some(at);
        Ok(())
    }

    /// Sets the password for Basic authentication.
    ///
    /// # Errors
    /// 404 for an unknown account.
    pub fn set_password(&mut self, username: &str, password: &str) -> Result<(), Refusal> {
        let id = self.existing(username)?;
        self.passwords.insert(id, password.to_owned());
        Ok(())
    }
}
