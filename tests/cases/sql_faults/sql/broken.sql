select order_id
form raw
