//! Domains of organizations, and the DNS records that prove them.

use super::nameserver::{self, Zone};
use super::{Failure, Person, own};

impl Person {
    /// Adds a domain.
    pub async fn domain(&self, organization: &str, name: &str) -> Result<own::Domain, Failure> {
        let request = own::AddDomainRequest {
            organization_id: organization.to_owned(),
            domain: name.to_owned(),
            mode: 0,
        };
        Ok(self.add_domain(request).await?.domain.unwrap())
    }

    pub async fn verify(&self, domain: &own::Domain) -> Result<own::Domain, Failure> {
        let request = own::VerifyDomainRequest {
            organization_id: domain.organization_id.clone(),
            domain_id: domain.id.clone(),
        };
        Ok(self.verify_domain(request).await?.domain.unwrap())
    }

    pub async fn set_mode(
        &self,
        domain: &own::Domain,
        mode: own::DomainMode,
    ) -> Result<own::Domain, Failure> {
        let request = own::SetDomainModeRequest {
            organization_id: domain.organization_id.clone(),
            domain_id: domain.id.clone(),
            mode: mode.into(),
        };
        Ok(self.set_domain_mode(request).await?.domain.unwrap())
    }

    pub async fn remove(&self, domain: &own::Domain) -> Result<(), Failure> {
        let request = own::RemoveDomainRequest {
            organization_id: domain.organization_id.clone(),
            domain_id: domain.id.clone(),
        };
        self.remove_domain(request).await.map(drop)
    }

    pub async fn domains(&self, organization: &str) -> Result<Vec<own::Domain>, Failure> {
        let request = own::ListDomainsRequest { organization_id: organization.to_owned() };
        Ok(self.list_domains(request).await?.domains)
    }

    /// Adds a domain that no other test uses, verifies it and sets its mode.
    pub async fn proved_domain(&self, organization: &str, mode: own::DomainMode) -> own::Domain {
        let domain = self.domain(organization, &nameserver::new_domain()).await.unwrap();
        prove(&domain);
        self.verify(&domain).await.unwrap();
        self.set_mode(&domain, mode).await.unwrap()
    }
}

/// Sets the TXT record of a domain.
pub fn prove(domain: &own::Domain) {
    nameserver::publish(&domain.txt_name, Some(Zone::Txt(vec![domain.txt_value.clone()])));
}

/// Removes the TXT record of a domain.
pub fn disprove(domain: &own::Domain) {
    nameserver::publish(&domain.txt_name, None);
}
