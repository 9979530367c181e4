select order_id,
  amont
from raw
