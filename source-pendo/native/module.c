/* The Python module `source_pendo.compiled.native`: one class around `write_record` and `write_identity`.
 *
 * It uses the stable ABI of Python 3.11, so one build serves all later versions. The GIL is held, so that threads may
 * share a writer: no code of Python runs between the first byte of a line and the copies of line and digest. A call
 * takes 1 to 3 microseconds a row, far less than the reading of those rows. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "blake2b.h"
#include "records.h"

#include <string.h>

typedef struct {
    PyObject_HEAD
    struct table table;
    PyObject *kept; /* the argument that the columns' spans point into */
    char *room;     /* for one line, then for one identity */
    size_t size;    /* of the room */
} Writer;

static bool span_of(PyObject *bytes, struct span *span) {
    char *data;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(bytes, &data, &size) < 0)
        return false;
    *span = (struct span){data, (size_t)size};
    return true;
}

/* (name, written, whether it is an instant, place in the identity or -1) */
static bool column_of(PyObject *given, struct column *column, Py_ssize_t identity_count) {
    PyObject *name, *written;
    int is_instant;
    Py_ssize_t place;
    if (!PyTuple_Check(given)) {
        PyErr_SetString(PyExc_TypeError, "a column that is not a tuple");
        return false;
    }
    if (!PyArg_ParseTuple(given, "SSpn", &name, &written, &is_instant, &place))
        return false;
    *column = (struct column){.is_instant = is_instant, .place = place};
    if (!span_of(name, &column->name) || !span_of(written, &column->written))
        return false;
    if (place >= identity_count || column->written.size == 0) {
        PyErr_SetString(PyExc_ValueError, "a column without a name, or with a place outside of the identity");
        return false;
    }
    return true;
}

static bool table_of(PyObject *columns, Py_ssize_t required, Py_ssize_t identity_count, struct table *table) {
    Py_ssize_t count = PyTuple_Size(columns);
    if (required < 0 || required >= count || identity_count < 1) {
        PyErr_SetString(PyExc_ValueError, "no required column, or no identity");
        return false;
    }
    table->count = (size_t)count;
    table->identity_count = (size_t)identity_count;
    for (table->slot_count = 2; table->slot_count < 2 * table->count;)
        table->slot_count *= 2;
    table->columns = PyMem_Calloc(table->count, sizeof *table->columns);
    table->slots = PyMem_Calloc(table->slot_count, sizeof *table->slots);
    table->identity = PyMem_Calloc(table->identity_count, sizeof *table->identity);
    if (!table->columns || !table->slots || !table->identity)
        return PyErr_NoMemory() != NULL;
    for (Py_ssize_t i = 0; i < count; i++)
        if (!column_of(PyTuple_GetItem(columns, i), &table->columns[i], identity_count))
            return false;
    table->required = &table->columns[required];
    index_columns(table);
    return true;
}

static PyObject *writer_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    static char *names[] = {"columns", "required", "identity", NULL};
    PyObject *columns;
    Py_ssize_t required, identity_count;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O!nn", names, &PyTuple_Type, &columns, &required,
                                     &identity_count))
        return NULL;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Writer *self = (Writer *)allocate(type, 0);
    if (self == NULL)
        return NULL;
    Py_INCREF(columns);
    self->kept = columns;
    if (!table_of(columns, required, identity_count, &self->table)) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void writer_free(PyObject *object) {
    Writer *self = (Writer *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyMem_Free(self->table.columns);
    PyMem_Free(self->table.slots);
    PyMem_Free(self->table.identity);
    PyMem_Free(self->room);
    Py_XDECREF(self->kept);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
    Py_DECREF(type);
}

static bool reserve(Writer *self, size_t wanted) {
    if (wanted <= self->size)
        return true;
    char *grown = PyMem_Realloc(self->room, wanted);
    if (grown == NULL)
        return PyErr_NoMemory() != NULL;
    self->room = grown;
    self->size = wanted;
    return true;
}

/* What `write` was called with. */
struct call {
    struct span head, behind, tail, identity_head;
};

static char *append(char *to, struct span span) {
    memcpy(to, span.bytes, span.size);
    return to + span.size;
}

/* Writes the line of a row and its digest, which stands in the line, too. Returns the end of the line, NULL if the row
 * is refused. There is room for both. */
static char *write_line(struct table *table, const struct call *call, const Py_buffer *row, char *line, char *identity,
                        char digest[DIGEST_DIGITS]) {
    char *end = write_record(table, row->buf, (size_t)row->len, append(line, call->head));
    if (end == NULL)
        return NULL;
    blake2b_hex(digest, identity, (size_t)(write_identity(table, append(identity, call->identity_head)) - identity));
    end = append(end, call->behind);
    end = append(end, (struct span){digest, DIGEST_DIGITS});
    return append(end, call->tail);
}

/* Appends the line and the digest of a row to two lists; both are empty if the row is refused. */
static bool append_row(Writer *self, const struct call *call, const Py_buffer *row, PyObject *lines,
                       PyObject *digests) {
    char digest[DIGEST_DIGITS], *end = NULL;
    size_t size = (size_t)row->len;
    if (size <= LONGEST_ROW) {
        size_t around = call->head.size + call->behind.size + DIGEST_DIGITS + call->tail.size;
        size_t line_room = around + record_room(&self->table, size);
        if (!reserve(self, line_room + call->identity_head.size + identity_room(&self->table, size)))
            return false;
        end = write_line(&self->table, call, row, self->room, self->room + line_room, digest);
    }
    PyObject *line = PyBytes_FromStringAndSize(self->room, end ? end - self->room : 0);
    PyObject *text = PyUnicode_FromStringAndSize(digest, end ? DIGEST_DIGITS : 0);
    bool done = line && text && PyList_Append(lines, line) == 0 && PyList_Append(digests, text) == 0;
    Py_XDECREF(line);
    Py_XDECREF(text);
    return done;
}

static bool append_rows(Writer *self, const struct call *call, PyObject *rows, PyObject *lines, PyObject *digests) {
    for (Py_ssize_t i = 0; i < PyList_Size(rows); i++) {
        Py_buffer row;
        if (PyObject_GetBuffer(PyList_GetItem(rows, i), &row, PyBUF_SIMPLE) < 0)
            return false;
        bool done = append_row(self, call, &row, lines, digests);
        PyBuffer_Release(&row);
        if (!done)
            return false;
    }
    return true;
}

static PyObject *writer_write(PyObject *object, PyObject *args) {
    PyObject *rows, *head, *behind, *tail, *identity_head;
    struct call call;
    if (!PyArg_ParseTuple(args, "O!SSSS", &PyList_Type, &rows, &head, &behind, &tail, &identity_head))
        return NULL;
    if (!span_of(head, &call.head) || !span_of(behind, &call.behind) || !span_of(tail, &call.tail) ||
        !span_of(identity_head, &call.identity_head))
        return NULL;
    PyObject *lines = PyList_New(0), *digests = PyList_New(0), *result = NULL;
    if (lines && digests && append_rows((Writer *)object, &call, rows, lines, digests))
        result = PyTuple_Pack(2, lines, digests);
    Py_XDECREF(lines);
    Py_XDECREF(digests);
    return result;
}

static PyMethodDef WRITER_METHODS[] = {
    {"write", writer_write, METH_VARARGS,
     "write(rows, head, behind, tail, identity_head) -> (lines, digests)\n\n"
     "`rows` is a list of buffers. A line is head, record without its end, behind, digest, tail. The digest is that\n"
     "of `identity_head` and the identity. Both are empty for a row that is refused."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot WRITER_SLOTS[] = {
    {Py_tp_doc, (void *)"Writes rows of one stream as records."},
    {Py_tp_new, (void *)writer_new},
    {Py_tp_dealloc, (void *)writer_free},
    {Py_tp_methods, WRITER_METHODS},
    {0, NULL},
};

static PyType_Spec WRITER = {
    .name = "source_pendo.compiled.native.Writer",
    .basicsize = sizeof(Writer),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = WRITER_SLOTS,
};

static int module_exec(PyObject *module) {
    PyObject *type = PyType_FromSpec(&WRITER);
    int failed = type == NULL || PyModule_AddObjectRef(module, "Writer", type) < 0;
    Py_XDECREF(type);
    return failed ? -1 : 0;
}

static PyModuleDef_Slot MODULE_SLOTS[] = {{Py_mod_exec, (void *)module_exec}, {0, NULL}};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT,
    .m_name = "native",
    .m_doc = "Writes rows of events as records; see native/records.h.",
    .m_slots = MODULE_SLOTS,
};

PyMODINIT_FUNC PyInit_native(void) { return PyModuleDef_Init(&MODULE); }
