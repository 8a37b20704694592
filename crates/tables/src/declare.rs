//! The macro that declares the columns of a table.

/// Declares the columns of a table (a constant `TABLE` beside it), from which everything that names them follows:
/// `COLUMNS`, the constants of the module `names`, and [`crate::TableRow`].
///
/// ```text
/// columns! {
///     rows of Origin as row in rows;
///     1 origin_id: required Text, "…";                               the field of that name, both ways
///     4 origin_ns: required Nanos = row.origin_time, "…";            written from here; read as `origin_ns`
///     3 origin_time: required Time => row.origin_time, "…";          follows from other columns: written only
///     5 channel: required Text, with codes(rows, …), "…";            a whole array; written only
///     -> Origin { origin_id, origin_time: origin_ns, … }             the row, of what was read
/// }
/// ```
#[macro_export]
macro_rules! columns {
    (
        rows of $row_type:ident as $row:ident in $rows:ident;
        $(
            $id:literal $name:ident: $need:ident $kind:ident $(($element:literal))?
            $(= $both:expr)? $(=> $written:expr)? $(, with $array:expr)?, $doc:literal;
        )+
        -> $read:expr
        $(; batches by $batches:expr)?
    ) => {
        /// Names of the columns, as SQL has them.
        #[allow(non_upper_case_globals)]
        pub mod names {
            $(
                #[doc = $doc]
                pub const $name: &str = stringify!($name);
            )+
        }

        const COLUMNS: &[$crate::Column] = &[
            $($crate::Column {
                id: $id,
                name: names::$name,
                kind: $crate::kind::$kind::column_type($($element)?),
                need: $crate::columns!(@need $need),
                doc: $doc,
            },)+
        ];

        impl $crate::TableRow for $row_type {
            const TABLE: &'static $crate::TableDef = &TABLE;

            fn columns($rows: &[Self]) -> Vec<$crate::arrow::array::ArrayRef> {
                vec![
                    $($crate::columns!(
                        @array $row, $rows, $name, $kind $(($element))?, [$($both)?], [$($written)?], [$($array)?]
                    ),)+
                ]
            }

            fn row(cells: &mut $crate::Row<'_>) -> Result<Self, $crate::CellError> {
                $($crate::columns!(@read cells, $name, $kind, [$($written)?], [$($array)?]);)+
                Ok($read)
            }

            $(fn batches(
                rows: Vec<Self>,
            ) -> Result<Vec<$crate::arrow::array::RecordBatch>, $crate::arrow::error::ArrowError> {
                $batches(rows)
            })?
        }
    };
    (@need required) => { $crate::Need::Required };
    (@need optional) => { $crate::Need::Optional };

    (@array $row:ident, $rows:ident, $name:ident, $kind:ident $(($element:literal))?, [], [], []) => {
        $crate::kind::$kind::array($($element,)? $rows.iter().map(|$row| &$row.$name))
    };
    (@array $row:ident, $rows:ident, $name:ident, $kind:ident $(($element:literal))?, [$value:expr], [], []) => {
        $crate::kind::$kind::array($($element,)? $rows.iter().map(|$row| $value))
    };
    (@array $row:ident, $rows:ident, $name:ident, $kind:ident $(($element:literal))?, [], [$value:expr], []) => {
        $crate::kind::$kind::array($($element,)? $rows.iter().map(|$row| $value))
    };
    (@array $row:ident, $rows:ident, $name:ident, $kind:ident $(($element:literal))?, [], [], [$array:expr]) => {
        $array
    };

    (@read $cells:ident, $name:ident, $kind:ident, [], []) => {
        let $name = $crate::kind::$kind::value($cells.cell())?;
    };
    (@read $cells:ident, $name:ident, $kind:ident, [$($written:expr)?], [$($array:expr)?]) => {
        $cells.cell();
    };
}
