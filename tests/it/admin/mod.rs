//! The admin API as administrators meet it: through a real socket, with every answer held to the document.

mod access;
mod audit;
mod document;
mod fuzz;
mod issuers;
mod office;
mod sources;
mod steer;
mod tenants;
