//! Between Python's dicts, TOML tables and tables of columns.

use illume::core::{Batch, Data, each_data};
use numpy::{IntoPyArray as _, PyArray1, PyArrayMethods as _};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString};
use toml::{Table, Value};

use crate::errors::wrong;

/// A TOML text as a dict; `name` is what messages call it.
#[pyfunction]
pub fn parse_toml<'py>(py: Python<'py>, text: &str, name: &str) -> PyResult<Bound<'py, PyDict>> {
    let table: Table = text
        .parse()
        .map_err(|e: toml::de::Error| wrong(format!("{name}: not valid TOML: {}", e.message().replace('\n', ", "))))?;
    dict(py, &table)
}

/// A configuration, given as a dict, as TOML.
#[pyfunction]
pub fn to_toml(config: &Bound<'_, PyDict>) -> PyResult<String> {
    toml::to_string(&table(config, "")?).map_err(|e| wrong(format!("the configuration cannot be written as TOML: {e}")))
}

/// Most dicts and lists within each other: one that contains itself has no end.
const DEEPEST: usize = 64;

/// A dict as a table; `None` leaves a key out. `within` is the key that it is the value of.
pub fn table(dict: &Bound<'_, PyDict>, within: &str) -> PyResult<Table> {
    table_at(dict, within, 0)
}

fn table_at(dict: &Bound<'_, PyDict>, within: &str, depth: usize) -> PyResult<Table> {
    let mut table = Table::new();
    for (key, object) in dict {
        let key: String = key.extract().map_err(|_| {
            wrong(format!(
                "the keys of a configuration are strings, got {key} in {}",
                shown(within)
            ))
        })?;
        let whole = if within.is_empty() {
            key.clone()
        } else {
            format!("{within}.{key}")
        };
        if let Some(value) = value(&object, &whole, depth + 1)? {
            table.insert(key, value);
        }
    }
    Ok(table)
}

fn shown(within: &str) -> &str {
    if within.is_empty() { "its top level" } else { within }
}

fn value(object: &Bound<'_, PyAny>, key: &str, depth: usize) -> PyResult<Option<Value>> {
    if depth > DEEPEST {
        let first = key.split('.').next().unwrap_or(key);
        return Err(wrong(format!(
            "{first}: a configuration holds at most {DEEPEST} dicts and lists within each other, got more: does one contain itself?"
        )));
    }
    let list = |items: Bound<'_, PyAny>| -> PyResult<Option<Value>> {
        let mut values = Vec::new();
        for item in items.try_iter()? {
            let item = value(&item?, key, depth + 1)?;
            values.push(item.ok_or_else(|| wrong(format!("{key}: a list of a configuration cannot hold None")))?);
        }
        Ok(Some(Value::Array(values)))
    };
    if object.is_none() {
        Ok(None)
    } else if object.is_instance_of::<PyBool>() {
        Ok(Some(Value::Boolean(object.extract()?)))
    } else if object.is_instance_of::<PyInt>() {
        let whole = object
            .extract()
            .map_err(|_| wrong(format!("{key}: expected an integer of 64 bits, got {object}")))?;
        Ok(Some(Value::Integer(whole)))
    } else if object.is_instance_of::<PyFloat>() {
        Ok(Some(Value::Float(object.extract()?)))
    } else if object.is_instance_of::<PyString>() {
        Ok(Some(Value::String(object.extract()?)))
    } else if let Ok(dict) = object.cast::<PyDict>() {
        Ok(Some(Value::Table(table_at(dict, key, depth)?)))
    } else if object.hasattr("tolist")? {
        // Arrays and scalars of numpy.
        value(&object.call_method0("tolist")?, key, depth + 1)
    } else if object.hasattr("__fspath__")? {
        value(&object.call_method0("__fspath__")?, key, depth + 1)
    } else if object.hasattr("__len__")? && object.hasattr("__getitem__")? {
        list(object.clone())
    } else {
        let kind = object.get_type().name()?;
        Err(wrong(format!(
            "{key}: a configuration holds numbers, strings, booleans, lists and dicts, got a {kind}"
        )))
    }
}

/// A table as a dict.
pub fn dict<'py>(py: Python<'py>, table: &Table) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (key, value) in table {
        dict.set_item(key, object(py, value)?)?;
    }
    Ok(dict)
}

fn object<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::String(text) => PyString::new(py, text).into_any(),
        Value::Integer(whole) => whole.into_pyobject(py)?.into_any(),
        Value::Float(number) => number.into_pyobject(py)?.into_any(),
        Value::Boolean(truth) => PyBool::new(py, *truth).to_owned().into_any(),
        Value::Datetime(when) => PyString::new(py, &when.to_string()).into_any(),
        Value::Array(values) => {
            let items = values.iter().map(|v| object(py, v)).collect::<PyResult<Vec<_>>>()?;
            PyList::new(py, items)?.into_any()
        }
        Value::Table(table) => dict(py, table)?.into_any(),
    })
}

/// A table's columns: name to (array `[rows]` or `[rows, width]`, unit, meaning).
pub fn columns(py: Python<'_>, batch: Batch) -> PyResult<Bound<'_, PyDict>> {
    let dict = PyDict::new(py);
    let rows = batch.rows();
    for column in batch.columns() {
        let array = array(py, column.data.clone(), rows, column.width)?;
        dict.set_item(&column.name, (array, &column.unit, &column.description))?;
    }
    Ok(dict)
}

fn array(py: Python<'_>, data: Data, rows: usize, width: usize) -> PyResult<Bound<'_, PyAny>> {
    fn shaped<'py, T: numpy::Element>(
        flat: Bound<'py, PyArray1<T>>,
        rows: usize,
        width: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        if width == 1 {
            return Ok(flat.into_any());
        }
        Ok(flat.reshape([rows, width])?.into_any())
    }
    each_data!(data, values => shaped(values.into_pyarray(py), rows, width))
}
