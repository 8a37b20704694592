//! seislake-seismo
