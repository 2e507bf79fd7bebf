"""Where images come from: one module per kind of source, each with `fingerprint(params, cache)` and `read(params)`.

mnist     the 60,000 + 10,000 digits, from a folder, from tensorflow-datasets' folder, or downloaded
digits    the 1,797 digits inside scikit-learn
tfds      tfds:NAME, an image-classification set of tensorflow-datasets
folder    FOLDER/{train,test}/CLASS/*.png|jpg or FOLDER/CLASS/*.png|jpg
idx       a folder with four IDX files
"""
