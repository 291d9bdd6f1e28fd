/* The Python module `source_heap.avro.native`: one class around `decode_rows`.
 *
 * It uses the stable ABI of Python 3.11, so one build serves all later versions. Builds of Python without a GIL have no
 * stable ABI, so this is not compiled for them, and relies on the GIL: it is released only while rows are decoded, and
 * then `busy` keeps other threads away from the decoder. The class has no subclasses, and takes no part in the garbage
 * collection, because a decoder holds nothing but bytes, texts and numbers. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "rows.h"

typedef struct {
    PyObject_HEAD
    struct table table;
    struct output output;
    size_t written;       /* lines in the output */
    struct arrays arrays; /* instead of lines, if it has columns */
    bool busy;            /* a method is at work: nothing else may touch the decoder, not even a finalizer */
    PyObject *kept;       /* the arguments that the table's spans point into */
} Decoder;

/* By `enum kind`, `enum form`, `enum element` and `enum outcome` */
static const char *const KINDS[] = {"null", "boolean", "long", "float", "double", "bytes", "enum", "fixed"};
static const char *const FORMS[] = {
    "skipped",         "plain", "quoted",      "instant", "text or instant", "timestamp",
    "local timestamp", "day",   "time of day", "decimal", "uuid",            "integer in text",
    "unusual",
};
static const char *const ELEMENTS[] = {
    "skipped", "long", "double", "boolean", "text", "instant", "local instant", "day",
};
static const char *const OUTCOMES[] = {
    "all rows", "chunk full", "unusual row", "broken row", "bad branch", "long row", "no memory",
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Each name has a place, and each place a name: a list that lags behind its enum does not compile. */
_Static_assert(COUNT(KINDS) == FIXED + 1, "KINDS");
_Static_assert(COUNT(FORMS) == UNUSUAL + 1, "FORMS");
_Static_assert(COUNT(ELEMENTS) == DAYS + 1, "ELEMENTS");
_Static_assert(COUNT(OUTCOMES) == NO_MEMORY + 1, "OUTCOMES");

/* ------------------------------------------------------------------------------------------ the table's columns */

/* The place of a name in a list; -1 with an exception if it is not there. */
static int index_of(const char *name, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return (int)i;
    PyErr_Format(PyExc_ValueError, "unknown: %s", name);
    return -1;
}

/* The bytes of an object that `kept` holds. */
static bool span_of(PyObject *bytes, struct span *span) {
    char *data;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(bytes, &data, &size) < 0)
        return false;
    *span = (struct span){data, (size_t)size};
    return true;
}

/* (kind, form, scale, whether 0 is null, size, symbols) */
static bool branch_of(PyObject *given, struct branch *branch) {
    const char *kind, *form;
    long long scale;
    int zero_is_null;
    Py_ssize_t size;
    PyObject *symbols;
    if (!PyTuple_Check(given) || !PyArg_ParseTuple(given, "ssLpnO!", &kind, &form, &scale, &zero_is_null, &size,
                                                   &PyTuple_Type, &symbols))
        return false;
    int kind_index = index_of(kind, KINDS, COUNT(KINDS));
    int form_index = kind_index < 0 ? -1 : index_of(form, FORMS, COUNT(FORMS));
    if (form_index < 0)
        return false;
    if (scale < 0 || size < 0) {
        PyErr_SetString(PyExc_ValueError, "a scale and a size are not negative");
        return false;
    }
    Py_ssize_t count = PyTuple_Size(symbols);
    struct span *spans = PyMem_Calloc((size_t)count + 1, sizeof *spans);
    *branch = (struct branch){
        .kind = (enum kind)kind_index,
        .form = (enum form)form_index,
        .scale = scale,
        .zero_is_null = zero_is_null,
        .size = (size_t)size,
        .symbols = spans, /* freed with the decoder, whatever follows */
        .symbol_count = (size_t)count,
    };
    if (spans == NULL)
        return PyErr_NoMemory() != NULL;
    for (Py_ssize_t i = 0; i < count; i++)
        if (!span_of(PyTuple_GetItem(symbols, i), &spans[i]))
            return false;
    if (branch_is_valid(branch))
        return true;
    PyErr_Format(PyExc_ValueError, "%s with a scale of %lld cannot be written as %s", kind, scale, form);
    return false;
}

/* (name, name with null, whether it is a union, whether it decides, branches) */
static bool column_of(PyObject *given, struct column *column) {
    PyObject *name, *null, *branches;
    int is_union, decides;
    if (!PyTuple_Check(given) ||
        !PyArg_ParseTuple(given, "SSppO!", &name, &null, &is_union, &decides, &PyTuple_Type, &branches))
        return false;
    Py_ssize_t count = PyTuple_Size(branches);
    struct branch *made = PyMem_Calloc((size_t)count + 1, sizeof *made);
    *column = (struct column){
        .is_union = is_union,
        .decides = decides,
        .branches = made, /* freed with the decoder, whatever follows */
        .branch_count = (size_t)count,
    };
    if (made == NULL)
        return PyErr_NoMemory() != NULL;
    if (!span_of(name, &column->name) || !span_of(null, &column->null))
        return false;
    for (Py_ssize_t i = 0; i < count; i++)
        if (!branch_of(PyTuple_GetItem(branches, i), &made[i]))
            return false;
    return true;
}

static bool columns_of(PyObject *given, struct table *table) {
    Py_ssize_t count = PyTuple_Size(given);
    struct column *columns = PyMem_Calloc((size_t)count + 1, sizeof *columns);
    table->columns = columns;
    table->column_count = (size_t)count;
    if (columns == NULL)
        return PyErr_NoMemory() != NULL;
    for (Py_ssize_t i = 0; i < count; i++)
        if (!column_of(PyTuple_GetItem(given, i), &columns[i]))
            return false;
    return true;
}

static void free_columns(struct table *table) {
    for (size_t i = 0; table->columns && i < table->column_count; i++) {
        const struct column *column = &table->columns[i];
        for (size_t j = 0; column->branches && j < column->branch_count; j++)
            PyMem_Free((void *)column->branches[j].symbols);
        PyMem_Free((void *)column->branches);
    }
    PyMem_Free((void *)table->columns);
}

/* Makes the arrays of the columns, which are known. */
static bool arrays_of(PyObject *elements, struct arrays *arrays, const struct table *table) {
    Py_ssize_t count = PyTuple_Size(elements);
    arrays->columns = PyMem_Calloc((size_t)count + 1, sizeof *arrays->columns);
    if (arrays->columns == NULL)
        return PyErr_NoMemory() != NULL;
    arrays->count = (size_t)count;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *element = PyTuple_GetItem(elements, i);
        const char *name = PyUnicode_AsUTF8AndSize(element, NULL);
        int index = name == NULL ? -1 : index_of(name, ELEMENTS, COUNT(ELEMENTS));
        if (index < 0)
            return false;
        arrays->columns[i].element = (enum element)index;
    }
    if (!arrays_are_valid(arrays, table)) {
        PyErr_SetString(PyExc_ValueError, "an array for each selected column, and room for a row are needed");
        return false;
    }
    return arrays_allocate(arrays) || PyErr_NoMemory() != NULL;
}

/* ---------------------------------------------------------------------------------------------------- the class */

/* Most rows of arrays: far more than anyone asks for, and their bytes surely fit a size. */
enum { MOST_ROWS = 1 << 24 };

static PyObject *decoder_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    static char *names[] = {"columns", "head", "tail", "since", "row_limit", "line_limit",
                            "chunk",   "elements", "room", NULL};
    PyObject *columns, *head, *tail, *since, *elements = NULL;
    Py_ssize_t row_limit, line_limit, chunk, room = 0;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O!SSSnnn|O!n", names, &PyTuple_Type, &columns, &head, &tail,
                                     &since, &row_limit, &line_limit, &chunk, &PyTuple_Type, &elements, &room))
        return NULL;
    if (row_limit < 0 || line_limit < 0 || chunk < 0 || room < 0 || room > MOST_ROWS) {
        PyErr_SetString(PyExc_ValueError, "limits are not negative, and the room is not too large");
        return NULL;
    }
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Decoder *self = (Decoder *)allocate(type, 0);
    if (self == NULL)
        return NULL;
    self->table.row_limit = (size_t)row_limit;
    self->table.chunk = (size_t)chunk;
    self->output.line_limit = self->arrays.row_text_limit = (size_t)line_limit;
    self->arrays.scratch.line_limit = (size_t)line_limit;
    self->arrays.room = (size_t)room;
    self->kept = PyTuple_Pack(4, columns, head, tail, since);
    if (self->kept == NULL || !span_of(head, &self->table.head) || !span_of(tail, &self->table.tail) ||
        !span_of(since, &self->table.since) || !columns_of(columns, &self->table)) {
        Py_DECREF(self);
        return NULL;
    }
    if (!table_is_valid(&self->table)) {
        PyErr_SetString(PyExc_ValueError, "a chunk may not be empty, and a column that decides needs a `since`");
        Py_DECREF(self);
        return NULL;
    }
    if (elements != NULL && !arrays_of(elements, &self->arrays, &self->table)) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void decoder_free(PyObject *object) {
    Decoder *self = (Decoder *)object;
    PyTypeObject *type = Py_TYPE(object);
    output_free(&self->output);
    arrays_free(&self->arrays);
    PyMem_Free(self->arrays.columns);
    free_columns(&self->table);
    Py_XDECREF(self->kept);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
    Py_DECREF(type);
}

/* Takes the decoder for a method. False with an exception if another one is at work. */
static bool enter(Decoder *self) {
    if (self->busy) {
        PyErr_SetString(PyExc_RuntimeError, "the decoder is in use by another thread");
        return false;
    }
    self->busy = true;
    return true;
}

static void leave(Decoder *self) { self->busy = false; }

static PyObject *decoder_decode(PyObject *object, PyObject *args) {
    Decoder *self = (Decoder *)object;
    Py_buffer data;
    Py_ssize_t at;
    long long rows;
    if (!PyArg_ParseTuple(args, "y*nL", &data, &at, &rows))
        return NULL;
    if (at < 0 || at > data.len || rows < 0) {
        PyErr_SetString(PyExc_ValueError, "the position is outside of the block, or the number of rows is negative");
        PyBuffer_Release(&data);
        return NULL;
    }
    if (!enter(self)) {
        PyBuffer_Release(&data);
        return NULL;
    }
    const uint8_t *begin = data.buf;
    struct block block = {.at = begin + at, .end = begin + data.len, .row = begin + at, .rows = (uint64_t)rows};
    enum outcome outcome;
    Py_BEGIN_ALLOW_THREADS
    if (self->arrays.columns)
        outcome = decode_arrays(&self->table, &block, &self->arrays);
    else
        outcome = decode_rows(&self->table, &block, &self->output, &self->written);
    Py_END_ALLOW_THREADS
    leave(self);
    Py_ssize_t row = block.row - begin;
    at = block.at - begin;
    PyBuffer_Release(&data);
    if (outcome == NO_MEMORY)
        return PyErr_NoMemory();
    return Py_BuildValue("snnL", OUTCOMES[outcome], row, at, (long long)block.rows);
}

static PyObject *decoder_append(PyObject *object, PyObject *args) {
    Decoder *self = (Decoder *)object;
    const char *line;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "y#", &line, &size) || !enter(self))
        return NULL;
    bool appended = output_append(&self->output, line, (size_t)size) == WRITTEN;
    self->written += appended;
    leave(self);
    if (!appended)
        return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyObject *decoder_take(PyObject *object, PyObject *unused) {
    (void)unused;
    Decoder *self = (Decoder *)object;
    if (!enter(self))
        return NULL;
    struct output *output = &self->output;
    const char *lines = output->data ? output->data : "";
    PyObject *taken = Py_BuildValue("y#n", lines, (Py_ssize_t)output->size, (Py_ssize_t)self->written);
    if (taken != NULL) {
        output->size = output->line = self->written = 0;
        if (output->room / 4 > self->table.chunk) /* a long line made it grow */
            output_free(output);
    }
    leave(self);
    return taken;
}

/* (validity, values, text) of an array; None if it has no element. */
static PyObject *take_array(const struct array *array, size_t rows) {
    if (array->element == NO_ELEMENT)
        Py_RETURN_NONE;
    return Py_BuildValue("y#y#y#", array->valid, (Py_ssize_t)((rows + 7) / 8), array->values.bits,
                         (Py_ssize_t)array_values_size(array, rows), array->text ? array->text : "",
                         (Py_ssize_t)array->text_size);
}

static PyObject *take_arrays(const struct arrays *arrays) {
    PyObject *taken = PyTuple_New((Py_ssize_t)arrays->count);
    for (size_t i = 0; taken != NULL && i < arrays->count; i++) {
        PyObject *array = take_array(&arrays->columns[i], arrays->rows);
        if (array == NULL || PyTuple_SetItem(taken, (Py_ssize_t)i, array) < 0)
            Py_CLEAR(taken);
    }
    return taken;
}

static PyObject *decoder_take_arrays(PyObject *object, PyObject *unused) {
    (void)unused;
    Decoder *self = (Decoder *)object;
    if (!enter(self))
        return NULL;
    PyObject *arrays = take_arrays(&self->arrays);
    PyObject *taken = arrays == NULL ? NULL : Py_BuildValue("nN", (Py_ssize_t)self->arrays.rows, arrays);
    if (taken != NULL)
        arrays_clear(&self->arrays, 4 * self->table.chunk);
    leave(self);
    return taken;
}

static PyObject *decoder_count(PyObject *object, PyObject *unused) {
    (void)unused;
    Decoder *self = (Decoder *)object;
    if (!enter(self))
        return NULL;
    size_t rows = self->arrays.rows;
    leave(self);
    return PyLong_FromSize_t(rows);
}

static PyMethodDef DECODER_METHODS[] = {
    {"decode", decoder_decode, METH_VARARGS,
     "decode(block, at, rows) -> (outcome, row, at, rows left)\n\n"
     "Decodes rows from a position of the block. The last one that was read stands between `row` and the new `at`."},
    {"append", decoder_append, METH_VARARGS, "append(line)\n\nAppends a line that another decoder has made."},
    {"take", decoder_take, METH_NOARGS, "take() -> (lines, count)\n\nReturns the output and empties it."},
    {"count", decoder_count, METH_NOARGS, "count() -> int\n\nReturns how many rows the arrays have."},
    {"take_arrays", decoder_take_arrays, METH_NOARGS,
     "take_arrays() -> (rows, ((validity, values, text), ...))\n\nReturns the arrays in Arrow's layout and empties them."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot DECODER_SLOTS[] = {
    {Py_tp_doc, (void *)"Decodes rows of one schema to lines or arrays. Not for two threads at a time."},
    {Py_tp_new, (void *)decoder_new},
    {Py_tp_dealloc, (void *)decoder_free},
    {Py_tp_methods, DECODER_METHODS},
    {0, NULL},
};

static PyType_Spec DECODER = {
    .name = "source_heap.avro.native.Decoder",
    .basicsize = sizeof(Decoder),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = DECODER_SLOTS,
};

static int module_exec(PyObject *module) {
    PyObject *type = PyType_FromSpec(&DECODER);
    int failed = type == NULL || PyModule_AddObjectRef(module, "Decoder", type) < 0;
    Py_XDECREF(type);
    return failed ? -1 : 0;
}

static PyModuleDef_Slot MODULE_SLOTS[] = {{Py_mod_exec, (void *)module_exec}, {0, NULL}};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT,
    .m_name = "native",
    .m_doc = "Decodes Avro rows to lines of JSON or to arrays; see native/rows.h.",
    .m_slots = MODULE_SLOTS,
};

PyMODINIT_FUNC PyInit_native(void) { return PyModuleDef_Init(&MODULE); }
