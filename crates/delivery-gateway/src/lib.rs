//! delivery-gateway
