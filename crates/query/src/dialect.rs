//! How tightly operators bind: as in PostgreSQL.
//!
//! ```text
//! .   ::   [ ]   sign   AT TIME ZONE   * / %   + -
//! || | & ^ << >> ~ ~* !~ @> <@ -> ->> and all others     (`^` is no power here, but what `#` is in PostgreSQL)
//! BETWEEN IN LIKE ILIKE SIMILAR TO
//! < > = <= >= <>
//! IS, IS DISTINCT FROM
//! NOT   AND   XOR   OR
//! ```
//! The parser's general dialect has another order (`'1' || 2 * 3` is 36 there, `a LIKE 'x' = b` asks whether `a` is like
//! `'x' = b`), and takes everything behind `IS DISTINCT FROM` as its right side. So a statement is read by this dialect,
//! which is the general one in everything else: what that one overrides is listed here, and a dialect cannot be derived
//! without it.
//! Reference: PostgreSQL 17, section 4.1.6.

use std::any::TypeId;

use datafusion::sql::sqlparser::ast::Expr;
use datafusion::sql::sqlparser::dialect::{Dialect, GenericDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

/// The dialect of all statements.
#[derive(Debug)]
pub(crate) struct Seislake;

/// Numbers only compare with each other.
mod binding {
    pub(super) const PERIOD: u8 = 100;
    pub(super) const CAST: u8 = 50;
    pub(super) const TIME_ZONE: u8 = 42;
    /// Below the sign before a value, of which the parser goes on with products.
    pub(super) const POWER: u8 = 41;
    pub(super) const PRODUCT: u8 = 40;
    pub(super) const SUM: u8 = 30;
    pub(super) const OTHER: u8 = 25;
    /// Ends the bounds of `list[from:to]` and the keys of `{key: value}`, which may be any of the above.
    pub(super) const COLON: u8 = 24;
    pub(super) const RANGE: u8 = 22;
    pub(super) const COMPARISON: u8 = 20;
    pub(super) const IS: u8 = 17;
    pub(super) const NOT: u8 = 15;
    pub(super) const AND: u8 = 10;
    pub(super) const XOR: u8 = 7;
    pub(super) const OR: u8 = 5;
}

/// The general dialect allows what these ask about.
macro_rules! allows {
    ($($question:ident)*) => {
        $(fn $question(&self) -> bool {
            GenericDialect.$question()
        })*
    };
}

impl Dialect for Seislake {
    /// The parser asks some things by the dialect's type.
    fn dialect(&self) -> TypeId {
        TypeId::of::<GenericDialect>()
    }

    fn is_delimited_identifier_start(&self, letter: char) -> bool {
        GenericDialect.is_delimited_identifier_start(letter)
    }

    fn is_identifier_start(&self, letter: char) -> bool {
        GenericDialect.is_identifier_start(letter)
    }

    fn is_identifier_part(&self, letter: char) -> bool {
        GenericDialect.is_identifier_part(letter)
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        match precedence {
            Precedence::Period => binding::PERIOD,
            Precedence::DoubleColon => binding::CAST,
            Precedence::AtTz => binding::TIME_ZONE,
            Precedence::MulDivModOp => binding::PRODUCT,
            Precedence::PlusMinus => binding::SUM,
            Precedence::Ampersand | Precedence::Caret | Precedence::Pipe | Precedence::PgOther => {
                binding::OTHER
            }
            Precedence::Colon => binding::COLON,
            Precedence::Between | Precedence::Like => binding::RANGE,
            Precedence::Eq => binding::COMPARISON,
            Precedence::Is => binding::IS,
            Precedence::UnaryNot => binding::NOT,
            Precedence::And => binding::AND,
            Precedence::Xor => binding::XOR,
            Precedence::Or => binding::OR,
        }
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        match &parser.peek_token_ref().token {
            // The parser takes shifts for the same, which bind less.
            Token::Caret => Some(Ok(binding::POWER)),
            Token::StringConcat
            | Token::CaretAt
            | Token::Tilde
            | Token::TildeAsterisk
            | Token::ExclamationMarkTilde
            | Token::ExclamationMarkTildeAsterisk
            | Token::DoubleTilde
            | Token::DoubleTildeAsterisk
            | Token::ExclamationMarkDoubleTilde
            | Token::ExclamationMarkDoubleTildeAsterisk => Some(Ok(binding::OTHER)),
            _ => None,
        }
    }

    fn parse_infix(
        &self,
        parser: &mut Parser<'_>,
        left: &Expr,
        _binding: u8,
    ) -> Option<Result<Expr, ParserError>> {
        if matches!(left, Expr::IsDistinctFrom(..) | Expr::IsNotDistinctFrom(..))
            && parser.peek_keyword(Keyword::IS)
        {
            let message = "IS after IS DISTINCT FROM could mean two things: put brackets around one of them";
            return Some(Err(ParserError::ParserError(message.to_owned())));
        }
        let distinct = parser.parse_keywords(&[Keyword::IS, Keyword::DISTINCT, Keyword::FROM]);
        if !distinct && !parser.parse_keywords(&[Keyword::IS, Keyword::NOT, Keyword::DISTINCT, Keyword::FROM])
        {
            return None;
        }
        Some(parser.parse_subexpr(binding::IS).map(|right| {
            let (left, right) = (Box::new(left.clone()), Box::new(right));
            if distinct { Expr::IsDistinctFrom(left, right) } else { Expr::IsNotDistinctFrom(left, right) }
        }))
    }

    allows! {
        supports_unicode_string_literal
        supports_group_by_expr
        supports_group_by_with_modifier
        supports_left_associative_joins_without_parens
        supports_connect_by
        supports_match_recognize
        supports_pipe_operator
        supports_start_transaction_modifier
        supports_window_function_null_treatment_arg
        supports_dictionary_syntax
        supports_window_clause_named_window_reference
        supports_parenthesized_set_variables
        supports_select_wildcard_except
        support_map_literal_syntax
        allow_extract_custom
        allow_extract_single_quotes
        supports_extract_comma_syntax
        supports_create_view_comment_syntax
        supports_parens_around_table_factor
        supports_values_as_table_factor
        supports_create_index_with_clause
        supports_explain_with_utility_options
        supports_limit_comma
        supports_from_first_select
        supports_projection_trailing_commas
        supports_asc_desc_in_column_definition
        supports_try_convert
        supports_bitwise_shift_operators
        supports_comment_on
        supports_load_extension
        supports_named_fn_args_with_assignment_operator
        supports_struct_literal
        supports_empty_projections
        supports_nested_comments
        supports_multiline_comment_hints
        supports_user_host_grantee
        supports_string_escape_constant
        supports_array_typedef_with_brackets
        supports_match_against
        supports_set_names
        supports_comma_separated_set_assignments
        supports_filter_during_aggregation
        supports_select_wildcard_exclude
        supports_data_type_signed_suffix
        supports_interval_options
        supports_quote_delimited_string
        supports_lambda_functions
        supports_select_wildcard_replace
        supports_select_wildcard_ilike
        supports_select_wildcard_rename
        supports_optimize_table
        supports_install
        supports_detach
        supports_prewhere
        supports_with_fill
        supports_limit_by
        supports_interpolate
        supports_settings
        supports_select_format
        supports_comment_optimizer_hint
        supports_constraint_keyword_without_name
    }
}

#[cfg(test)]
mod tests;
