"""Partner mode (服务商): a partner signs, the money is a sub-merchant's, and every number has an sp_ and a sub_ side."""
