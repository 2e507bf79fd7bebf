#!/bin/sh
# Delete the files that are not needed at run time from the folder of packages $1; $2 is "yes" to keep Kubernetes' client.
set -eu
cd "$1"

rm -rf tensorflow/include pyarrow/include # headers, for compilers
rm -rf clang                              # libclang: TensorFlow requires it, but none of its modules imports it
find . -name '*.a' -delete                # static libraries
find . -type d \( -name tests -o -name testdata \) -prune -exec rm -rf {} +
if [ "$2" != yes ]; then
  rm -rf kubernetes kubernetes_asyncio airflow/providers/cncf
  rm -rf kubernetes-*.dist-info kubernetes_asyncio-*.dist-info apache_airflow_providers_cncf_kubernetes-*.dist-info
fi
# Debug symbols, 220 MB of them, of these libraries only: strip breaks the files that auditwheel patched.
strip --strip-unneeded tensorflow/libtensorflow_cc.so.2 tensorflow/libtensorflow_framework.so.2
