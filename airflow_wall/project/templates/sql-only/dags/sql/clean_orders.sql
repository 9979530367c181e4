-- One row per order, from one row per order line.
select
    order_id,
    min(ordered_at) as ordered_at,
    min(customer_id) as customer_id,
    sum(items) as items,
    sum(items * price) as value
from orders
group by order_id
order by order_id
