# ---- Keras -------------------------------------------------------------------------------------------------


def keras_layout(keras):
    """'channels_first' or 'channels_last', by the name that this Keras has for it."""
    if hasattr(keras.backend, "image_data_format"):
        return keras.backend.image_data_format()
    return {"th": "channels_first", "tf": "channels_last"}[keras.backend.image_dim_ordering()]


def keras_convolution_layer(keras, major, shape):
    """Five 3x3 filters without padding."""
    if major < 2:
        return keras.layers.Convolution2D(5, 3, 3, border_mode="valid", input_shape=shape)
    return keras.layers.Conv2D(5, (3, 3), padding="valid", input_shape=shape)


def keras_convolution(probe, keras, backend, major):
    x, w = images()
    bias, layout = w[0, 0, 0], keras_layout(keras)
    first = layout == "channels_first"
    batch = x.transpose(0, 3, 1, 2) if first else x
    model = keras.models.Sequential([keras_convolution_layer(keras, major, batch.shape[1:])])
    kernel = w.transpose(3, 2, 0, 1) if first and major < 2 else w  # Keras 1 stores kernels in its own order
    model.set_weights([kernel, bias])
    got = model.predict(batch, batch_size=4)
    # On Theano Keras computes the mathematician's convolution: the kernel is turned over.
    reference = correlate(x, w[::-1, ::-1] if backend == "theano" else w) + bias
    got = got.transpose(0, 2, 3, 1) if first else got
    return compare(got, reference, TOLERANCE[probe.want], "convolution, " + layout)


def keras_norm(probe, keras):
    """Batch norm with the statistics that a model carries: what a loaded model predicts by."""
    x, scale, shift = channels()
    first = keras_layout(keras) == "channels_first"
    batch, axis = (x.transpose(0, 3, 1, 2), 1) if first else (x, -1)
    layer = keras.layers.BatchNormalization(epsilon=EPSILON, axis=axis, input_shape=batch.shape[1:])
    model = keras.models.Sequential([layer])
    spread = x.reshape(-1, 3).var(0)
    model.set_weights([scale, shift, x.reshape(-1, 3).mean(0), spread])
    got = model.predict(batch, batch_size=len(x))
    got = got.transpose(0, 2, 3, 1) if first else got
    return compare(got, normalized(x, scale, shift), TOLERANCE[probe.want], "batch norm")


def keras_cell(probe, keras, major):
    """A simple recurrent layer: every Keras has it with the same weights."""
    x, w, u, b = sequences(1)
    units = {"output_dim": 6} if major < 2 else {"units": 6}
    layer = keras.layers.SimpleRNN(return_sequences=True, input_shape=x.shape[1:], **units)
    model = keras.models.Sequential([layer])
    model.set_weights([w, u, b])
    return compare(model.predict(x, batch_size=len(x)), recur(x, w, u, b), TOLERANCE[probe.want], "recurrent layer")


def keras_optimizer(keras, name, rate):
    """An optimizer, also where Keras 2.5 and 2.6 moved the classes out of sight."""
    if hasattr(keras.optimizers, name):
        return getattr(keras.optimizers, name)(rate)
    return keras.optimizers.get({"class_name": name, "config": {"learning_rate": rate}})


def keras_training(probe, keras):
    """One layer only: on TensorFlow 1 Keras may change W2 while the gradient of W1 still reads it."""
    start, x, y = network(1)
    model = keras.models.Sequential([keras.layers.Dense(3, activation="softmax", input_dim=6)])
    model.compile(loss="categorical_crossentropy", optimizer=keras_optimizer(keras, "SGD", RATE))
    model.set_weights(start)
    model.train_on_batch(x, y)
    changes = [new - old for new, old in zip(model.get_weights(), start)]
    return compare(changes, descend(start, x, y), STEP_TOLERANCE[probe.want], "weights after a training step")


def keras_save_load(probe, keras, major):
    """A trained model, its optimizer's state included, through HDF5; the loaded one then trains on."""
    import numpy as np

    x, _ = images()
    batch = x.transpose(0, 3, 1, 2) if keras_layout(keras) == "channels_first" else x
    labels = np.eye(3)[[0, 1, 2, 0]].astype("float32")
    layers = [keras_convolution_layer(keras, major, batch.shape[1:]), keras.layers.Flatten()]
    model = keras.models.Sequential(layers + [keras.layers.Dense(3, activation="softmax")])
    model.compile(loss="categorical_crossentropy", optimizer=keras_optimizer(keras, "Adam", 0.01))
    fresh = model.predict(batch)
    model.train_on_batch(batch, labels)
    trained = model.predict(batch)
    if np.abs(trained - fresh).max() == 0:
        raise Wrong("a training step changed nothing")
    path = os.path.join(probe.scratch, "model.h5")
    model.save(path)
    loaded = keras.models.load_model(path)
    pairs = [(loaded.predict(batch), trained)] + list(zip(loaded.get_weights(), model.get_weights()))
    if hasattr(model.optimizer, "get_weights"):
        pairs += zip(loaded.optimizer.get_weights(), model.optimizer.get_weights())
    what = "predictions, weights and optimizer after loading %d bytes of HDF5" % os.path.getsize(path)
    result = compare([a for a, _ in pairs], [b for _, b in pairs], 1e-6, what, "the saved model's")
    if not np.isfinite(loaded.train_on_batch(batch, labels)).all():
        raise Wrong("the loaded model's loss is not finite")
    return result


def keras_checks(probe, name, keras, backend, major):
    """The same checks for Keras on its own and for the one inside TensorFlow."""
    probe.check(name + " convolution", keras_convolution, probe, keras, backend, major)
    probe.check(name + " batch norm", keras_norm, probe, keras)
    probe.check(name + " recurrent layer", keras_cell, probe, keras, major)
    probe.check(name + " training step", keras_training, probe, keras)
    probe.check(name + " save and load", keras_save_load, probe, keras, major)


def keras_import():
    """Keras with the submodules that the checks use."""
    import keras
    import keras.backend
    import keras.layers
    import keras.models
    import keras.optimizers

    return keras


def check_backend(probe, keras):
    """Keras runs on the backend that was solved, without being told again."""
    running, wanted = keras.backend.backend(), probe.expect.get("backend")
    if wanted and running != wanted:
        raise Wrong("Keras should run on %s, but runs on %s" % (wanted, running))
    how = ", run without a compiler" if probe.expect.get("interpreted") else ""
    return running + ", " + keras_layout(keras) + how


def probe_keras(probe):
    """Keras 1 and 2 on the backend that its environment selects."""
    modules = []
    if not probe.check("keras import", lambda: modules.append(keras_import())):
        return
    keras = modules[0]
    probe.check("keras version", check_version, probe, "keras", keras.__version__)
    probe.check("keras backend", check_backend, probe, keras)
    keras_checks(probe, "keras", keras, keras.backend.backend(), int(keras.__version__.split(".")[0]))
