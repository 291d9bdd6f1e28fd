/* The Python module `source_pendo.compiled.native`: a class around `write_record` and `write_identity`, and the rows
 * that it has read.
 *
 * It uses the stable ABI of Python 3.11, so one build serves all later versions. The GIL is held, so that threads may
 * share a writer: no code of Python runs while one reads. A call takes about 0.2 ms for a piece of 128 KiB. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "blake2b.h"
#include "records.h"

#include <string.h>

/* Memory that only grows. */
struct room {
    char *bytes;
    size_t size;
};

/* More text than this is refused, so that no room becomes large: a piece of an answer has 128 KiB. */
enum { LONGEST_TEXT = 1024 * 1024 };

typedef struct {
    PyObject_HEAD
    struct table table;
    PyObject *kept;         /* the argument that the columns' spans point into */
    PyTypeObject *row_type; /* of what is read */
    struct room records;    /* of one text */
    struct room identity;   /* of one row */
} Writer;

/* A row that was read with others. */
typedef struct {
    PyObject_HEAD
    PyObject *texts;   /* what the spans point into */
    PyObject *records;
    struct span text;
    bool is_refused;    /* then there is nothing behind this */
    struct span record; /* without its end */
    char digest[DIGEST_DIGITS];
} Row;

/* The types of one module. */
struct types {
    PyTypeObject *row;
};

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

/* -------------------------------------------------------------------------------------------------------- rows */

/* A new row without a record. */
static Row *new_row(const Writer *self, PyObject *texts) {
    Row *row = PyObject_New(Row, self->row_type);
    if (row == NULL)
        return NULL;
    row->texts = Py_NewRef(texts);
    row->records = NULL;
    row->text = row->record = (struct span){NULL, 0};
    row->is_refused = true;
    return row;
}

static void row_free(PyObject *object) {
    Row *self = (Row *)object;
    PyTypeObject *type = Py_TYPE(object);
    Py_DECREF(self->texts);
    Py_XDECREF(self->records);
    PyObject_Free(object);
    Py_DECREF(type);
}

/* A row is its text to all who take bytes. */
static int row_buffer(PyObject *object, Py_buffer *view, int flags) {
    Row *self = (Row *)object;
    return PyBuffer_FillInfo(view, object, (char *)self->text.bytes, (Py_ssize_t)self->text.size, 1, flags);
}

static PyObject *row_digest(PyObject *object, void *Py_UNUSED(closure)) {
    const Row *self = (Row *)object;
    return self->is_refused ? Py_NewRef(Py_None) : PyUnicode_FromStringAndSize(self->digest, DIGEST_DIGITS);
}

static PyGetSetDef ROW_PROPERTIES[] = {
    {"digest", row_digest, NULL, "The digest of the identity, in hexadecimal. None if the row was refused.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot ROW_SLOTS[] = {
    {Py_tp_doc, (void *)"A row that was read: the bytes of its text."},
    {Py_tp_dealloc, (void *)row_free},
    {Py_tp_getset, ROW_PROPERTIES},
    {Py_bf_getbuffer, (void *)row_buffer},
    {0, NULL},
};

static PyType_Spec ROW = {
    .name = "source_pendo.compiled.native.Row",
    .basicsize = sizeof(Row),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = ROW_SLOTS,
};

/* ------------------------------------------------------------------------------------------------------ writers */

static PyObject *writer_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    static char *names[] = {"columns", "required", "identity", NULL};
    PyObject *columns;
    Py_ssize_t required, identity_count;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O!nn", names, &PyTuple_Type, &columns, &required,
                                     &identity_count))
        return NULL;
    const struct types *types = PyType_GetModuleState(type);
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Writer *self = (Writer *)allocate(type, 0);
    if (self == NULL)
        return NULL;
    self->kept = Py_NewRef(columns);
    self->row_type = (PyTypeObject *)Py_NewRef((PyObject *)types->row);
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
    PyMem_Free(self->records.bytes);
    PyMem_Free(self->identity.bytes);
    Py_XDECREF(self->kept);
    Py_XDECREF((PyObject *)self->row_type);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
    Py_DECREF(type);
}

static bool reserve(struct room *room, size_t wanted) {
    if (wanted <= room->size)
        return true;
    size_t size = wanted + wanted / 4;
    char *grown = PyMem_Realloc(room->bytes, size);
    if (grown == NULL)
        return PyErr_NoMemory() != NULL;
    *room = (struct room){grown, size};
    return true;
}

/* Reads the row that begins at `at` and ends at `end` or before. `*used` is how much of the room for records is. False
 * if the text is refused, or with an error of Python. */
static bool read_row(Writer *self, struct span identity_head, const char *at, const char *end, size_t *used, Row *row) {
    if (!reserve(&self->records, *used + record_room(&self->table, (size_t)(end - at))))
        return false;
    char *begin = self->records.bytes + *used, *to = begin;
    const char *behind = write_record(&self->table, at, end, &to);
    row->is_refused = behind == NULL;
    if (row->is_refused)
        behind = at < end && *at == '{' ? bracket_end(at, end) : NULL;
    if (behind == NULL)
        return false;
    row->text = (struct span){at, (size_t)(behind - at)};
    if (row->is_refused)
        return true;
    if (!reserve(&self->identity, identity_head.size + identity_room(&self->table, row->text.size)))
        return false;
    char *identity = self->identity.bytes;
    size_t size = (size_t)(write_identity(&self->table, append(identity, identity_head)) - identity);
    blake2b_hex(row->digest, identity, size);
    row->record.size = (size_t)(to - begin);
    *used += row->record.size;
    return true;
}

/* Reads all rows of a text into a list, with their records in the writer's room, and appends those that are refused to
 * another one, too. False if the text is refused, or with an error of Python. */
static bool read_rows(Writer *self, PyObject *texts, struct span text, struct span identity_head, PyObject *rows,
                      PyObject *refused, size_t *used) {
    const char *at = text.bytes, *end = text.bytes + text.size;
    if (at == end || *at != '[')
        return false;
    do {
        Row *row = new_row(self, texts);
        bool done = row != NULL && read_row(self, identity_head, ++at, end, used, row) &&
                    PyList_Append(rows, (PyObject *)row) == 0 &&
                    (!row->is_refused || PyList_Append(refused, (PyObject *)row) == 0);
        at += done ? row->text.size : 0;
        Py_XDECREF((PyObject *)row);
        if (!done)
            return false;
    } while (at < end && *at == ',');
    return end - at == 1 && *at == ']';
}

/* Gives the rows their records, which were written one behind another. */
static bool keep_records(PyObject *rows, const char *bytes, size_t size) {
    PyObject *records = PyBytes_FromStringAndSize(bytes, (Py_ssize_t)size);
    if (records == NULL)
        return false;
    const char *at = PyBytes_AsString(records);
    for (Py_ssize_t i = 0; i < PyList_Size(rows); i++) {
        Row *row = (Row *)PyList_GetItem(rows, i);
        row->records = Py_NewRef(records);
        row->record.bytes = at;
        at += row->record.size;
    }
    Py_DECREF(records);
    return true;
}

static PyObject *writer_read(PyObject *object, PyObject *args) {
    Writer *self = (Writer *)object;
    PyObject *texts, *head;
    struct span text, identity_head;
    if (!PyArg_ParseTuple(args, "SS", &texts, &head) || !span_of(texts, &text) || !span_of(head, &identity_head))
        return NULL;
    PyObject *rows = PyList_New(0), *refused = PyList_New(0), *result = NULL;
    size_t used = 0;
    if (rows != NULL && refused != NULL && text.size <= LONGEST_TEXT &&
        read_rows(self, texts, text, identity_head, rows, refused, &used) &&
        keep_records(rows, self->records.bytes, used))
        result = PyTuple_Pack(2, rows, refused);
    else if (PyErr_Occurred() == NULL)
        result = Py_NewRef(Py_None);
    Py_XDECREF(rows);
    Py_XDECREF(refused);
    return result;
}

static PyMethodDef WRITER_METHODS[] = {
    {"read", writer_read, METH_VARARGS,
     "read(text, identity_head) -> (rows, refused), or None\n\n"
     "`text` is a list of JSON, in UTF-8. `refused` are those of the rows that were not read, of which only the\n"
     "brackets were followed: the text is JSON if they are. Otherwise it is refused, which is None. The digest of a\n"
     "row is that of `identity_head` and its identity."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot WRITER_SLOTS[] = {
    {Py_tp_doc, (void *)"Reads rows of one stream and writes them as records."},
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

/* -------------------------------------------------------------------------------------------------------- lines */

/* Whether all objects of a list are rows that were read, and no two have the same digest. The slots are empty, and
 * their number is a power of two, at least twice that of the rows. */
static bool are_distinct(PyObject *rows, const PyTypeObject *row_type, const Row **slots, size_t slot_count) {
    for (Py_ssize_t i = 0; i < PyList_Size(rows); i++) {
        const Row *row = (Row *)PyList_GetItem(rows, i);
        if (Py_TYPE((PyObject *)row) != row_type || row->is_refused)
            return false;
        uint64_t word;
        memcpy(&word, row->digest, sizeof word);
        size_t at = (size_t)((word * 0x9e3779b97f4a7c15u) >> 32) & (slot_count - 1);
        for (; slots[at] != NULL; at = (at + 1) & (slot_count - 1))
            if (memcmp(slots[at]->digest, row->digest, DIGEST_DIGITS) == 0)
                return false;
        slots[at] = row;
    }
    return true;
}

/* What stands around the records. */
struct around {
    struct span head, behind, tail;
};

static PyObject *joined(PyObject *rows, const struct around *around) {
    Py_ssize_t count = PyList_Size(rows);
    size_t size = (size_t)count * (around->head.size + around->behind.size + DIGEST_DIGITS + around->tail.size);
    for (Py_ssize_t i = 0; i < count; i++)
        size += ((Row *)PyList_GetItem(rows, i))->record.size;
    PyObject *lines = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (lines == NULL)
        return NULL;
    char *to = PyBytes_AsString(lines);
    for (Py_ssize_t i = 0; i < count; i++) {
        const Row *row = (Row *)PyList_GetItem(rows, i);
        to = append(append(append(to, around->head), row->record), around->behind);
        to = append(append(to, (struct span){row->digest, DIGEST_DIGITS}), around->tail);
    }
    return lines;
}

static PyObject *join(PyObject *module, PyObject *args) {
    PyObject *rows, *head, *behind, *tail;
    struct around around;
    if (!PyArg_ParseTuple(args, "O!SSS", &PyList_Type, &rows, &head, &behind, &tail) || !span_of(head, &around.head) ||
        !span_of(behind, &around.behind) || !span_of(tail, &around.tail))
        return NULL;
    const struct types *types = PyModule_GetState(module);
    size_t slot_count = 2;
    while (slot_count < 2 * (size_t)PyList_Size(rows))
        slot_count *= 2;
    const Row **slots = PyMem_Calloc(slot_count, sizeof *slots);
    if (slots == NULL)
        return PyErr_NoMemory();
    bool distinct = are_distinct(rows, types->row, slots, slot_count);
    PyMem_Free(slots);
    return distinct ? joined(rows, &around) : Py_NewRef(Py_None);
}

static PyMethodDef METHODS[] = {
    {"join", join, METH_VARARGS,
     "join(rows, head, behind, tail) -> bytes, or None\n\n"
     "A line of each row: head, record without its end, behind, digest, tail. None if two rows have the same digest,\n"
     "or an object of the list is no `Row`, or one that was refused."},
    {NULL, NULL, 0, NULL},
};

/* ------------------------------------------------------------------------------------------------------- module */

/* Adds a type to the module. Returns it, or NULL with an error. */
static PyTypeObject *add_type(PyObject *module, PyType_Spec *spec, const char *name) {
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
    if (type != NULL && PyModule_AddObjectRef(module, name, type) < 0)
        Py_CLEAR(type);
    return (PyTypeObject *)type;
}

static int module_exec(PyObject *module) {
    struct types *types = PyModule_GetState(module);
    types->row = add_type(module, &ROW, "Row");
    PyTypeObject *writer = types->row ? add_type(module, &WRITER, "Writer") : NULL;
    Py_XDECREF((PyObject *)writer);
    return writer ? 0 : -1;
}

static int module_traverse(PyObject *module, visitproc visit, void *arg) {
    struct types *types = PyModule_GetState(module);
    Py_VISIT(types->row);
    return 0;
}

static int module_clear(PyObject *module) {
    struct types *types = PyModule_GetState(module);
    Py_CLEAR(types->row);
    return 0;
}

static void module_free(void *module) { module_clear(module); }

static PyModuleDef_Slot MODULE_SLOTS[] = {{Py_mod_exec, (void *)module_exec}, {0, NULL}};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT,
    .m_name = "native",
    .m_doc = "Writes rows of events as records; see native/records.h.",
    .m_size = sizeof(struct types),
    .m_methods = METHODS,
    .m_slots = MODULE_SLOTS,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit_native(void) { return PyModuleDef_Init(&MODULE); }
