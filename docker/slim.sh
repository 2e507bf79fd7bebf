#!/bin/sh
# Delete from the folder of packages $1 what nothing reads at run time; $2 is "yes" where Kubernetes' client stays.
set -eu
cd "$1"

rm -rf tensorflow/include pyarrow/include # headers, for compilers
rm -rf clang                              # libclang: TensorFlow lists it, and no module of it imports it
find . -name '*.a' -delete                # static libraries
find . -type d \( -name tests -o -name testdata \) -prune -exec rm -rf {} +
if [ "$2" != yes ]; then
  rm -rf kubernetes kubernetes_asyncio airflow/providers/cncf
  rm -rf kubernetes-*.dist-info kubernetes_asyncio-*.dist-info apache_airflow_providers_cncf_kubernetes-*.dist-info
fi
# Names for debuggers, 220 MB of them. These libraries alone: in those that auditwheel patched, strip breaks the file.
strip --strip-unneeded tensorflow/libtensorflow_cc.so.2 tensorflow/libtensorflow_framework.so.2
