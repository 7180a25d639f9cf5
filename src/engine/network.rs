//! The project's network, as Compose makes and removes it.

use bollard::models::NetworkCreateRequest;
use bollard::query_parameters::InspectNetworkOptions;

use super::{Engine, EngineError, labels};
use crate::plan::service::Service;

impl Engine {
    /// Whether it had to be made.
    pub async fn ensure_network(&self, service: &Service) -> Result<bool, EngineError> {
        let name = service.network();
        let found = self.docker.inspect_network(&name, None::<InspectNetworkOptions>).await;
        match found.map_err(|error| EngineError::of(format!("look at network {name}"), error)) {
            Ok(_) => return Ok(false),
            Err(error) if error.is_missing() => {}
            Err(error) => return Err(error),
        }
        let request = NetworkCreateRequest {
            name: name.clone(),
            driver: Some("bridge".to_owned()),
            labels: Some(labels::network(service)),
            ..Default::default()
        };
        let made = self.docker.create_network(request).await;
        made.map_err(|error| EngineError::of(format!("make network {name}"), error))?;
        Ok(true)
    }

    /// Removes the network where no container is left in it.
    pub async fn remove_network(&self, name: &str) -> Result<(), EngineError> {
        match self.docker.remove_network(name).await {
            Ok(()) => Ok(()),
            Err(error) => {
                let error = EngineError::of(format!("remove network {name}"), error);
                // Somebody else's container is in it, or it is gone already.
                let fine = error.is_missing()
                    || error.message().is_some_and(|said| said.contains("has active endpoints"));
                if fine { Ok(()) } else { Err(error) }
            }
        }
    }
}
