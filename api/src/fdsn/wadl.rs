//! `application.wadl`: what a service accepts, made from the list that requests are checked against.

use std::fmt::Write;

use super::parameters::{Parameter, ParameterGroups};

/// Description of a service whose `queries` take `parameters` by GET and a body by POST, and whose `paths` take nothing.
pub(super) fn write(
    service: &str,
    base: &str,
    parameters: ParameterGroups,
    queries: &[&str],
    paths: &[&str],
) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let base = base.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    let _ = write!(
        xml,
        "<application xmlns=\"http://wadl.dev.java.net/2009/02\" \
         xmlns:xs=\"http://www.w3.org/2001/XMLSchema\">\n  <doc title=\"FDSN {service} web service 1.2\"/>\n  \
         <resources base=\"{base}\">\n"
    );
    for query in queries {
        let _ = write!(
            xml,
            "    <resource path=\"{query}\">\n      <method name=\"GET\" id=\"{query}\">\n        <request>\n"
        );
        for parameter in parameters.iter().copied().flatten() {
            write_parameter(&mut xml, parameter);
        }
        let _ = write!(
            xml,
            "        </request>\n      </method>\n      <method name=\"POST\" id=\"{query}Post\"/>\n    </resource>\n"
        );
    }
    for path in paths {
        let _ = writeln!(
            xml,
            "    <resource path=\"{path}\"><method name=\"GET\" id=\"{}\"/></resource>",
            path.replace('.', "_")
        );
    }
    xml.push_str("  </resources>\n</application>\n");
    xml
}

fn write_parameter(xml: &mut String, parameter: &Parameter) {
    let default = parameter.default.map(|value| format!(" default=\"{value}\"")).unwrap_or_default();
    let head = format!(
        "          <param name=\"{}\" style=\"query\" type=\"{}\"{default}",
        parameter.name,
        parameter.kind.xml_type()
    );
    if parameter.options.is_empty() {
        let _ = writeln!(xml, "{head}/>");
        return;
    }
    let _ = write!(xml, "{head}>");
    for option in parameter.options {
        let _ = write!(xml, "<option value=\"{option}\"/>");
    }
    xml.push_str("</param>\n");
}
