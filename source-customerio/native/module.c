/* The Python module `source_customerio.compiled.native`: one function around `read_row`.
 *
 * It uses the stable ABI of Python 3.11, so one build serves all later versions. The GIL is held: a call takes about
 * 0.1 ms for a piece of 128 KiB, and most of it makes objects of Python. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "rows.h"

/* (name, whether its values are integers) */
static bool column_of(PyObject *given, struct column *column) {
    PyObject *name;
    int is_integer;
    char *bytes;
    Py_ssize_t size;
    if (!PyTuple_Check(given)) {
        PyErr_SetString(PyExc_TypeError, "a column that is not a tuple");
        return false;
    }
    if (!PyArg_ParseTuple(given, "Sp", &name, &is_integer) || PyBytes_AsStringAndSize(name, &bytes, &size) < 0)
        return false;
    *column = (struct column){{bytes, (size_t)size}, is_integer};
    return true;
}

static bool columns_of(PyObject *given, struct columns *columns) {
    Py_ssize_t count = PyTuple_Size(given);
    if (count < 1 || count > MOST_COLUMNS) {
        PyErr_Format(PyExc_ValueError, "%zd columns; 1 to %d are possible", count, MOST_COLUMNS);
        return false;
    }
    columns->count = (size_t)count;
    for (Py_ssize_t i = 0; i < count; i++)
        if (!column_of(PyTuple_GetItem(given, i), &columns->all[i]))
            return false;
    return true;
}

/* Appends a new object, which may be NULL with an error. */
static bool append(PyObject *list, PyObject *object) {
    bool done = object != NULL && PyList_Append(list, object) == 0;
    Py_XDECREF(object);
    return done;
}

static PyObject *object_of(const struct column *column, const struct value *value) {
    if (column->is_integer)
        return PyLong_FromLongLong(value->number);
    return PyUnicode_FromStringAndSize(value->text.bytes, (Py_ssize_t)value->text.size);
}

/* Reads all rows into a list, and the values of each column into one of `lists`. False if the text is refused, or with
 * an error of Python. */
static bool read_rows(struct cursor *c, const struct columns *columns, PyObject *rows, PyObject *lists) {
    struct value values[MOST_COLUMNS];
    if (!skip_byte(c, '['))
        return false;
    do {
        const char *begin = c->at;
        if (!read_row(c, columns, values) || !append(rows, PyBytes_FromStringAndSize(begin, c->at - begin)))
            return false;
        for (size_t i = 0; i < columns->count; i++)
            if (!append(PyList_GetItem(lists, (Py_ssize_t)i), object_of(&columns->all[i], &values[i])))
                return false;
    } while (skip_byte(c, ','));
    return skip_byte(c, ']') && c->at == c->end;
}

static PyObject *new_lists(size_t count) {
    PyObject *lists = PyList_New(0);
    for (size_t i = 0; lists != NULL && i < count; i++)
        if (!append(lists, PyList_New(0)))
            Py_CLEAR(lists);
    return lists;
}

static PyObject *cut(PyObject *Py_UNUSED(module), PyObject *args) {
    PyObject *text, *given;
    struct columns columns;
    char *bytes;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "SO!", &text, &PyTuple_Type, &given) || !columns_of(given, &columns) ||
        PyBytes_AsStringAndSize(text, &bytes, &size) < 0)
        return NULL;
    struct cursor c = {bytes, bytes + size};
    PyObject *rows = PyList_New(0), *lists = new_lists(columns.count), *result = NULL;
    if (rows != NULL && lists != NULL) {
        if (read_rows(&c, &columns, rows, lists))
            result = PyTuple_Pack(2, rows, lists);
        else if (PyErr_Occurred() == NULL)
            result = Py_NewRef(Py_None);
    }
    Py_XDECREF(rows);
    Py_XDECREF(lists);
    return result;
}

static PyMethodDef METHODS[] = {
    {"cut", cut, METH_VARARGS,
     "cut(text, columns) -> (rows, values) or None\n\n"
     "`text` is a list of JSON, `columns` are of (name, whether it is an integer). Each row is bytes, and each column\n"
     "has a list of values. None if a row is refused; see native/rows.h."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot MODULE_SLOTS[] = {{0, NULL}};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT,
    .m_name = "native",
    .m_doc = "Cuts rows out of lists of JSON; see native/rows.h.",
    .m_methods = METHODS,
    .m_slots = MODULE_SLOTS,
};

PyMODINIT_FUNC PyInit_native(void) { return PyModuleDef_Init(&MODULE); }
